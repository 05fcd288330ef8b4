//! What travels between two peers: messages and their one encoding.
