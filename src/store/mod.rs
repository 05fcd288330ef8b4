//! Bytes on disk: reading what is published, writing what is replicated, resuming.
