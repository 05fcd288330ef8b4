//! Moves bytes between streams and the store; knows no policy.
