//! The `strew` program.

fn main() {}
