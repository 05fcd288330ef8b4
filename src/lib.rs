//! strew replicates a directory, a file or any tree of files from one or a few sources to many machines, peer to peer, over mutually
//! authenticated QUIC. Every machine that holds a chunk serves it, so the fleet gets faster as it grows.
//!
//! This page is the map. Reading order: here → `swarm/event.rs` → `swarm/mod.rs` → `node/mod.rs` → the file you need.
//!
//! # The house
//!
//! ```text
//!  pure half: no clock, no ambient randomness, no socket, no file, no async; time and rng are arguments
//!  units ← chunk ← bitfield ← manifest ← wire ← swarm ← sim
//!
//!  shell: every effect lives here, no policy
//!  identity · store · net · discovery  ← node ← admin ← cli ← main
//! ```
//!
//! | room | what it does |
//! | --- | --- |
//! | [`units`] | bytes, durations and virtual time, each with its unit in the type |
//! | [`chunk`] | how the bytes of a content are cut; chunk ids that are in range by construction |
//! | [`bitfield`] | sets of chunks |
//! | [`manifest`] | entries, content id, digests and the signed statements about them |
//! | [`wire`] | what travels between two peers, byte for byte, and every limit on it |
//! | [`swarm`] | who gives which chunk to whom, and when: a state machine without I/O, one per content |
//! | [`sim`] | thousands of these machines on a virtual clock; real runs repeated from their traces |
//! | [`identity`] | swarm keys, certificates, TLS configurations, endorsements |
//! | [`store`] | reading a source, writing a destination, resuming, finishing durably |
//! | [`net`] | QUIC: endpoint, links, one exchange per stream |
//! | [`discovery`] | names to addresses; lists of peers that change, and the registry |
//! | [`node`] | the only owner of a swarm: events in, effects out |
//! | [`admin`] | probes: what a node tells over TCP to those who watch it |
//! | [`cli`] | flags in, lines, events and exit codes out |
//!
//! Imports go from right to left only, and `tests/tidy.rs` checks every one of them. A feature is a new file in the right room.
//!
//! # The life of a chunk
//!
//! 1. A publisher walks its source ([`store::scan`]). Names, sizes and times make the [manifest](manifest::Manifest) and its content
//!    id; nothing has been read yet. It endorses the content with its certificate's key and listens.
//! 2. A leecher connects: TLS in both directions, then hello and welcome ([`net::link`]). It believes the endorsement unless the user
//!    pinned another content (`node::expect`), fetches header and pages, opens its destination ([`store::Replica`]) and offers the
//!    content in turn.
//! 3. Bitfields are exchanged. The leecher's [swarm](swarm::Swarm) picks the rarest of a few random chunks that the neighbour holds
//!    and says `Fetch`; the node opens a stream and asks ([`net::Fetch`]).
//! 4. At the other end the request waits in the swarm's queue until its neighbour is the most deprived one. In a publisher's first pass
//!    the answer may be another chunk, one that nobody has yet. The node reads it, hashes it on the way and sends it; the signed
//!    digest follows in the trailer, because it did not exist before.
//! 5. The bytes arrive in an [assembly](net::Assembly), to which several sources may contribute, stay in memory, are hashed on the
//!    disk pool when the chunk is whole, and compared with a signed digest. Only then are they written, to a partial file, and the
//!    journal notes the chunk.
//! 6. `Verified` reaches the swarm, and within milliseconds every neighbour hears of it, first the proof, then the have. From now on
//!    this machine serves the chunk as well.
//! 7. When all chunks of a file are there, the file is synced and renamed together with others; when all files are, the node is complete,
//!    and goes on serving.
//!
//! # Words
//!
//! Each has one meaning, in code, documents and messages.
//!
//! | word | meaning |
//! | --- | --- |
//! | chunk | the unit of having, asking and verifying: a range of all files laid end to end in path order |
//! | span | a byte range of one file |
//! | content | what is replicated, named by its content id |
//! | manifest | header, entries, layout, endorsements and digests of a content |
//! | publisher | a node that endorses a content |
//! | bitfield | the set of chunks that somebody holds |
//! | have | news about it: always a set, batched |
//! | peer | anyone in the swarm |
//! | identity | the hash of a certificate's key |
//! | candidate | an address that is not connected yet |
//! | neighbour | a connected peer |
//! | source | anything that can deliver a chunk: a neighbour, a path on this machine |
//! | swarm | the peers of one content |
//! | seeder, leecher | a peer that is complete, or not; publishing is another matter |
//! | zone | an operator's label for a place with cheap links inside |
//!
//! # Where the design was changed by a measurement
//!
//! Simulated with `examples/simulate.rs`: 1 GiB, 1 Gbit/s, share of the fluid bound.
//!
//! * Uploads at once are five, not two to four: with four, receivers that are busy with others leave the uplink idle (94.2 % against
//!   96.5 % among 32 equal peers at 1 MiB chunks), with six the order of service is blunted (91.2 % against 98.4 % with slow uplinks).
//! * A neighbour's window grows only while nobody else waits there and answers take less than twice the least time. An empty queue
//!   alone as the sign cost about ten points on a mesh of equal links.
//! * A publisher's bitfield counts neither for *unserved* nor for rarity; otherwise two connected publishers have no first pass.
//! * A request is hedged after half a second instead of two, but from the other end of the chunk, so that a slow link loses nothing
//!   by it: among 16 peers of which two freeze and two die the others reach 99.4 % (256 KiB) and 97.8 % (1 MiB).
//! * A publisher gives chunks that nobody has to those who pass them on, by what the others' haves show, and not by how quickly they
//!   take them: with one thin uplink among eight 99 % instead of 89 % (256 KiB) and 98 % instead of 93 % (1 MiB).
//! * A publisher is not asked for what two peers can give: two publishers of eight peers send 1.05 copies together instead of 1.6
//!   (256 KiB), at the same makespan.
//! * Who is silent, or brings much less than others, does not count as a neighbour, so others are found beside it: with a third of 128
//!   peers dying 95 % instead of 83 % (1 MiB), with a tenth of a thousand peers slow 93 % instead of 87 %, with slow uplinks 95.5 % instead
//!   of 92.6 %.
//! * In a zone at most sixteen members are owners of chunks, and only such as reach outside: with all 64 of a zone 1.06 copies cross a
//!   thin link and the peers reach 94 % (128 peers, 1 MiB), with sixteen 1.00 and 97 %.
//! * Who the members of a zone are goes through all of it, not only to the neighbours of neighbours: of 64 members with eight
//!   neighbours each, a third has no common neighbour with another (by count, not simulated).
//! * In its first pass a publisher serves its own zone before others: 90 % instead of 88 % and 1.00 instead of 1.09 crossings where the
//!   link between zones is no bound (128 peers, 1 MiB), because what leaves for another zone first has to leave again or come back.

// The pure half: no clock, no ambient randomness, no socket, no file, no async.
pub mod bitfield;
pub mod chunk;
pub mod manifest;
pub mod sim;
pub mod swarm;
pub mod units;
pub mod wire;

// The shell: every effect lives here.
pub mod admin;
pub mod cli;
pub mod discovery;
pub mod identity;
pub mod net;
pub mod node;
pub mod store;
