//! What the black-box tests share: processes of the real program, trees to replicate, and a network that can be cut.
//!
//! Tests of transfers start `strew` as a user does and learn what it does from its JSON events, so that none of them has to guess how long
//! something takes. What a test started ends with the test, also when it fails, and what it said is then shown.
//!
//! Invariant: nothing here waits without an end; whoever waits too long fails and says for what.
//!
//! Not here: what is tested (`transfer.rs`, `faults.rs`, `namespaces.rs`).

// Each test program uses a part of it.
#![allow(dead_code, unused_imports)]

pub(crate) mod compare;
pub(crate) mod fleet;
pub(crate) mod node;
pub(crate) mod relay;
pub(crate) mod tree;

use std::time::Duration;

pub(crate) use compare::{assert_equal, assert_only_whole_files};
pub(crate) use node::{End, Node, Stage, number};
pub(crate) use relay::Relay;
pub(crate) use tree::Tree;

/// How long a test waits for anything: ten times what the slowest step takes on two busy cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long until something is looked at again that cannot be waited for: the end of a process, a file.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);
