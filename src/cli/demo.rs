//! The demonstration: one seeder and four peers as real processes on this machine, with real files.
//!
//! It shows what a stranger would otherwise have to set up: five processes that know nothing of each other but an address and a key,
//! started as anybody would start them. What they achieved is judged from outside, by reading all the copies.
//!
//! Invariant: success means that every copy was compared with the source and is equal. However it ends, short of being killed itself,
//! no process and no file of it stays behind.
//!
//! Not here: anything that a transfer needs. A demonstration has no way of its own into the program.

mod board;
mod compare;
mod data;
mod error;
mod fleet;
pub(super) mod leash;
mod scratch;
mod stage;
mod story;
mod table;
mod tree;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use error::DemoError;

use super::args::DemoArgs;
use super::screen::Screen;
use crate::units::Bytes;
use compare::Comparison;
use data::Data;
use scratch::{Need, Scratch};
use stage::{Signals, Stage};
use table::Outcome;
use tree::Tree;

/// Peers of a demonstration: enough that passing on pays, few enough for a screen and for the disk of a laptop.
const PEERS: u32 = 4;
/// What each copy needs beside its files: the journal, and partial files that are on their way to their final names.
const SLACK: u64 = 16 << 20;

/// Runs the demonstration: the story goes to `screen`, the table to `out`.
pub(super) fn run(args: &DemoArgs, screen: &Screen, out: &mut dyn Write) -> Result<(), DemoError> {
    screen.say("strew demo: one seeder and four peers, five processes on this machine");
    let data = Data::choose(args.dir.as_deref())?;
    let need = need(&data.tree);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DemoError::System)?;
    let _context = runtime.enter();
    // From here on a signal does not end this process, because something has to be removed first.
    let mut signals = Signals::watch().map_err(DemoError::System)?;
    let scratch = Scratch::make(args.into.as_deref(), need, &data.path)?;
    screen.say(&story::introduction(&data, scratch.path(), need, width(screen)));
    screen.say("");
    let outcome = runtime.block_on(perform(data, scratch.path(), &mut signals, screen)).and_then(|outcome| {
        let text = format!("\n{}\n{}", outcome.table(), outcome.meaning(width(screen)));
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(DemoError::Print)
    });
    screen.draw("removing the copies");
    let removed = scratch.remove();
    screen.clear();
    // When both failed, the first failure is the one to know, and the other one says what is left to do.
    match (outcome, removed) {
        (Err(error), Err(left)) => {
            screen.say(&format!("strew: {}", super::sentence(&left)));
            Err(error)
        }
        (outcome, removed) => outcome.and(removed),
    }
}

/// The transfer, the comparison and what came out. No process is left when it returns.
async fn perform(data: Data, copies: &Path, signals: &mut Signals, screen: &Screen) -> Result<Outcome, DemoError> {
    let folders: Vec<_> = (1..=PEERS).map(|peer| copies.join(format!("peer{peer}"))).collect();
    let outcome = Stage::new(screen, signals, PEERS)?.transfer(&data.path, &folders).await?;
    let (files, items) = (data.tree.files, data.tree.items.len() - 1);
    let comparison = Arc::new(Comparison::new(data.tree, folders));
    let began = Instant::now();
    compare(&comparison, signals, screen).await?;
    let (time, threads) = (began.elapsed(), compare::threads());
    screen.say(&story::verdict(files, items, PEERS, time, threads, width(screen)));
    Ok(outcome)
}

/// Compares all copies with the source, in threads of its own so that a signal is heard meanwhile.
async fn compare(comparison: &Arc<Comparison>, signals: &mut Signals, screen: &Screen) -> Result<(), DemoError> {
    let (tell, mut told) = tokio::sync::oneshot::channel();
    let judged = Arc::clone(comparison);
    std::thread::spawn(move || tell.send(judged.run(compare::threads())));
    let mut tick = tokio::time::interval(COMPARE_TICK);
    let verdict = loop {
        tokio::select! {
            verdict = &mut told => break verdict,
            _ = tick.tick() => {
                let (done, all) = comparison.progress();
                let share = super::progress::percent(Bytes(done), Bytes(all));
                screen.draw(&format!("comparing the copies with the source  {share}"));
            }
            code = signals.next() => {
                comparison.stop();
                // It must not read what is about to be removed. Its verdict is none.
                let _ = told.await;
                screen.clear();
                return Err(DemoError::Stopped(code));
            }
        }
    };
    screen.clear();
    verdict
        .map_err(|_| DemoError::Silent { who: "the comparison".to_owned(), what: "ended without a verdict" })?
        .into_result()
}

/// What the copies of a tree need.
fn need(tree: &Tree) -> Need {
    let (copies, entries) = (u64::from(PEERS), u64::try_from(tree.items.len()).unwrap_or(u64::MAX));
    Need { bytes: tree.room.saturating_add(SLACK).saturating_mul(copies), entries: entries.saturating_mul(copies) }
}

/// The width of what is said: that of the terminal, or of a usual one; longer lines are hard to read.
fn width(screen: &Screen) -> usize {
    screen.width().unwrap_or(80).clamp(40, 101) - 1
}

/// How often the comparison's progress is drawn: what the eye takes for steady.
const COMPARE_TICK: Duration = Duration::from_millis(100);
