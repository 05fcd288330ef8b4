//! How a node is watched, when it begins and when it leaves, with the real program.
//!
//! Questions are put as bytes on a socket, as a probe of any make would put them, so that nothing of the program under test judges its
//! own answers.
//!
//! Not here: which question has which answer in which phase (`src/admin`), exit codes of failures (`faults.rs`).

mod common;

#[path = "lifecycle/leaving.rs"]
mod leaving;
#[path = "lifecycle/probes.rs"]
mod probes;
#[path = "lifecycle/status.rs"]
mod status;
