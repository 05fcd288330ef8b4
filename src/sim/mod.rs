//! Many swarms on a virtual clock.
