//! Curves: how figures grow with a number, as an SVG: panels one below the other over one logarithmic axis.
//!
//! Written by hand, because lines and words need no library. The vertical axes begin at zero, so that what looks level is level.
//!
//! Invariant: every point that is given is drawn, with its value beside it.
//!
//! Not here: where the figures come from (`scale`).

use std::fmt::Write;

/// The plotted area of a panel, in pixels, and what is around it.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 50.0;
const GAP: f64 = 60.0;
/// Dark enough on white, and told apart by whoever sees no red or green.
const COLOURS: [&str; 3] = ["#b35806", "#2166ac", "#555555"];

/// Where the vertical axis has a line.
const PARTS: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// What is drawn over one axis.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) curves: Vec<Curve>,
}

/// One figure.
pub(crate) struct Curve {
    pub(crate) name: String,
    /// The number, which is positive, and the figure.
    pub(crate) points: Vec<(f64, f64)>,
}

/// The picture as a file.
pub(crate) fn draw(title: &str, axis: &str, panels: &[Panel]) -> String {
    let xs = || panels.iter().flat_map(|p| &p.curves).flat_map(|c| &c.points).map(|(x, _)| *x);
    let (least, most) = (xs().fold(f64::MAX, f64::min), xs().fold(1.0, f64::max));
    // A single number stands in the middle of a decade.
    let (least, most) = if least < most { (least, most) } else { (most / 3.0, most * 3.0) };
    let x = |at: f64| LEFT + WIDTH * (at / least).ln() / (most / least).ln();
    let (wide, high) = (LEFT + WIDTH + RIGHT, TOP + panels.len() as f64 * (HEIGHT + GAP));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{title}</text>\n"
    );
    for (at, panel) in panels.iter().enumerate() {
        panel.draw(&mut svg, TOP + at as f64 * (HEIGHT + GAP), axis, &x);
    }
    svg + "</svg>\n"
}

impl Panel {
    fn draw(&self, svg: &mut String, top: f64, axis: &str, x: &impl Fn(f64) -> f64) {
        let most = self.curves.iter().flat_map(|c| &c.points).map(|(_, y)| *y).fold(0.0, f64::max);
        let most = PARTS.len() as f64 * round_up(1.05 * most / PARTS.len() as f64);
        let bottom = top + HEIGHT;
        let y = |value: f64| bottom - HEIGHT * value / most.max(f64::MIN_POSITIVE);
        text(svg, LEFT, top - 8.0, "start", "#000", &self.title);
        text(svg, LEFT - 8.0, bottom + 4.0, "end", "#000", "0");
        for part in PARTS {
            line(svg, [LEFT, y(part * most), LEFT + WIDTH, y(part * most)]);
            text(svg, LEFT - 8.0, y(part * most) + 4.0, "end", "#000", &short(part * most));
        }
        let mut columns: Vec<f64> = self.curves.iter().flat_map(|c| &c.points).map(|(x, _)| *x).collect();
        columns.sort_by(f64::total_cmp);
        columns.dedup();
        for column in columns {
            line(svg, [x(column), top, x(column), bottom]);
            text(svg, x(column), bottom + 16.0, "middle", "#000", &format!("{column} {axis}"));
        }
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            let points: Vec<String> =
                curve.points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
            let points = points.join(" ");
            let _ =
                writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
            for (at, value) in &curve.points {
                let _ =
                    writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(*at), y(*value));
                text(svg, x(*at), y(*value) - 8.0, "middle", colour, &short(*value));
            }
            if let Some((at, value)) = curve.points.last() {
                text(svg, x(*at), y(*value) + 18.0, "end", colour, &curve.name);
            }
        }
    }
}

/// The next number that people count by: 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    [1.0, 2.0, 5.0].map(|times| times * power).into_iter().find(|round| *round >= value).unwrap_or(10.0 * power)
}

/// Three digits, or all of a larger number.
fn short(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn line(svg: &mut String, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#e4e4e4\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, colour: &str, words: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>");
}
