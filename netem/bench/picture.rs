//! Picture: one run as an SVG, progress of every peer above, use of every uplink below, over the same time.
//!
//! Two questions cannot be read from a table: did everybody advance together, and when did an uplink idle that somebody could have used? Both are
//! seen at a glance when time is the same axis. Written by hand, because lines and rectangles need no library.
//!
//! Invariant: what is drawn are counted packets, so a picture of a rival means the same as one of strew.
//!
//! Not here: which run is shown (`table`).

use std::fmt::Write;

/// The width of the plotted area, and what is left and right of it, in pixels.
const WIDTH: f64 = 900.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 70.0;
/// The height of the upper part, and what is above it.
const HEIGHT: f64 = 300.0;
const TOP: f64 = 58.0;
/// The height of the strip of an uplink, with its distance to the next one.
const STRIP: f64 = 16.0;
const STEP: f64 = 20.0;
/// Between the upper part and the strips.
const GAP: f64 = 64.0;

/// What is drawn.
pub(crate) struct Picture {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// Names of vertical lines, in seconds.
    pub(crate) marks: Vec<(f64, String)>,
    pub(crate) lanes: Vec<Lane>,
}

/// One machine.
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Time in seconds and share of the data received; empty for a seeder.
    pub(crate) progress: Vec<(f64, f64)>,
    /// When it was complete.
    pub(crate) complete: Option<f64>,
    /// Time in seconds and share of the uplink's rate since the time before.
    pub(crate) uplink: Vec<(f64, f64)>,
}

impl Picture {
    /// The picture as a file.
    pub(crate) fn svg(&self) -> String {
        let end = self.end();
        let x = |at: f64| LEFT + WIDTH * (at / end).clamp(0.0, 1.0);
        let strips = TOP + HEIGHT + GAP;
        let (wide, high) = (LEFT + WIDTH + RIGHT, strips + self.lanes.len() as f64 * STEP + 40.0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"16\">{}</text>\n<text x=\"{LEFT}\" y=\"42\" fill=\"#555\">{}</text>\n",
            escaped(&self.title),
            escaped(&self.subtitle),
        );
        self.grid(&mut svg, end, &x, high);
        self.lines(&mut svg, &x);
        text(&mut svg, LEFT, strips - 12.0, "start", "use of every uplink (white 0, dark 100 % of its rate)");
        for (at, lane) in self.lanes.iter().enumerate() {
            lane.strip(&mut svg, strips + at as f64 * STEP, &x);
        }
        svg + "</svg>\n"
    }

    /// The end of the time axis: a little after the last thing that is drawn.
    fn end(&self) -> f64 {
        let complete = self.lanes.iter().filter_map(|lane| lane.complete);
        let drawn = self.lanes.iter().filter_map(|lane| lane.uplink.last().map(|(at, _)| *at));
        complete.chain(drawn).chain(self.marks.iter().map(|(at, _)| *at)).fold(0.1, f64::max) * 1.01
    }

    fn grid(&self, svg: &mut String, end: f64, x: &impl Fn(f64) -> f64, high: f64) {
        let step = step(end);
        let mut at = 0.0;
        while at <= end {
            line(svg, [x(at), TOP, x(at), high - 32.0], "#e4e4e4", "");
            text(svg, x(at), high - 16.0, "middle", &format!("{} s", (at * 100.0).round() / 100.0));
            at += step;
        }
        for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let y = TOP + HEIGHT * (1.0 - share);
            line(svg, [LEFT, y, LEFT + WIDTH, y], "#e4e4e4", "");
            text(svg, LEFT - 8.0, y + 4.0, "end", &format!("{:.0} %", 100.0 * share));
        }
        for (row, (at, name)) in self.marks.iter().enumerate() {
            line(svg, [x(*at), TOP, x(*at), high - 32.0], "#c00", "stroke-dasharray=\"5 4\"");
            // One below the other, since marks may stand close.
            text(svg, x(*at) - 5.0, TOP + HEIGHT - 10.0 - 15.0 * row as f64, "end", name);
        }
    }

    fn lines(&self, svg: &mut String, x: &impl Fn(f64) -> f64) {
        let count = self.lanes.iter().filter(|lane| !lane.progress.is_empty()).count();
        let peers = self.lanes.iter().filter(|lane| !lane.progress.is_empty());
        for (at, lane) in peers.enumerate() {
            let colour = colour(at, count);
            let y = |share: f64| TOP + HEIGHT * (1.0 - share.clamp(0.0, 1.0));
            let points: Vec<String> =
                lane.progress.iter().map(|(at, share)| format!("{:.1},{:.1}", x(*at), y(*share))).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"/>",
                points.join(" ")
            );
            if let Some(complete) = lane.complete {
                let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{TOP}\" r=\"3.5\" fill=\"{colour}\"/>", x(complete));
            }
        }
    }
}

impl Lane {
    fn strip(&self, svg: &mut String, y: f64, x: &impl Fn(f64) -> f64) {
        text(svg, LEFT - 8.0, y + 12.0, "end", &self.name);
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{STRIP}\" fill=\"none\" stroke=\"#ccc\"/>"
        );
        let mut before = 0.0;
        for (at, share) in &self.uplink {
            // From white to a dark blue.
            let part = |dark: f64| (255.0 + (dark - 255.0) * share.clamp(0.0, 1.0)).round();
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{y}\" width=\"{:.2}\" height=\"{STRIP}\" fill=\"rgb({},{},{})\"/>",
                x(before),
                (x(*at) - x(before)).max(0.0),
                part(10.0),
                part(60.0),
                part(130.0)
            );
            before = *at;
        }
        if let Some(mean) = self.mean() {
            text(svg, LEFT + WIDTH + 6.0, y + 12.0, "start", &format!("{:.0} %", 100.0 * mean));
        }
    }

    /// The use of the uplink over all the time that is drawn.
    fn mean(&self) -> Option<f64> {
        let mut before = 0.0;
        let mut sum = 0.0;
        for (at, share) in &self.uplink {
            sum += share * (at - before);
            before = *at;
        }
        (before > 0.0).then(|| sum / before)
    }
}

/// The distance of lines on the time axis: 1, 2 or 5 of some power of ten, so that about ten fit.
fn step(end: f64) -> f64 {
    let power = 10_f64.powf((end / 10.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| end / step <= 12.0).unwrap_or(end)
}

/// Colours around the circle, so that neighbours differ.
fn colour(at: usize, count: usize) -> String {
    format!("hsl({:.0},70%,42%)", 360.0 * at as f64 / count.max(1) as f64)
}

fn line(svg: &mut String, [x1, y1, x2, y2]: [f64; 4], colour: &str, more: &str) {
    let _ =
        writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" {more}/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words));
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_whose_uplink_never_idled_is_dark_from_end_to_end() {
        let lane = |share| Lane {
            name: "a < b".into(),
            progress: vec![(0.0, 0.0), (2.0, 1.0)],
            complete: Some(2.0),
            uplink: vec![(1.0, share), (2.0, share)],
        };
        let picture = |share| {
            Picture { title: "t".into(), subtitle: String::new(), marks: Vec::new(), lanes: vec![lane(share)] }.svg()
        };
        assert_eq!(picture(1.0).matches("rgb(10,60,130)").count(), 2);
        assert_eq!(picture(0.0).matches("rgb(255,255,255)").count(), 2);
        assert!(picture(1.0).contains("100 %") && picture(1.0).contains("a &lt; b"));
    }

    #[test]
    fn about_ten_lines_fit_on_the_time_axis() {
        for end in [0.3, 1.0, 11.0, 27.0, 110.0, 3000.0] {
            let lines = end / step(end);
            assert!((4.0..=12.0).contains(&lines), "{lines} lines for {end} s");
        }
    }
}
