//! Lists of peers that change: URLs, files, records of a name server, registries; real processes on the loopback interface.
//!
//! The name server and the web server are the test's own and say exactly what a test wants, slips included. Each bug of the ancestor's
//! discovery has a test here whose comment names what was wrong there.
//!
//! Invariant: what a node knows of a list is read from its events, so nothing here guesses how long a question takes.
//!
//! Not here: what text a list is made of, pauses and back-off (beside the code), search lists (`src/discovery/resolve/tests.rs`).

mod common;

#[path = "discovery/dns.rs"]
mod dns;
#[path = "discovery/fleet.rs"]
mod fleet;
#[path = "discovery/lists.rs"]
mod lists;
#[path = "discovery/names.rs"]
mod names;
#[path = "discovery/registry.rs"]
mod registry;
#[path = "discovery/web.rs"]
mod web;
