//! A peer that is played by the test: it has a valid certificate and the content, and says and sends what the test wants.
//!
//! It speaks through the library's own frames, so that only its behaviour differs from that of a node.
//!
//! Invariant: it is as well-behaved as the test lets it be; every lie is in the test that tells it.
//!
//! Not here: nodes that behave (`swarm`).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use strew::identity::Credentials;
use strew::manifest::{ContentId, DatasetKey, DigestKind, Endorsement, EntryKind, Manifest, SignedBatch};
use strew::net::{TransportSettings, bind, dial, frames};
use strew::store::{SymlinkPolicy, scan};
use strew::wire::{
    Answer, ContentIndex, Encoding, Form, Hello, List, Message, Offer, Open, PeerId, Reason, Refusal, Request, Text,
    Trailer, VERSION, Wants,
};
use tokio::sync::mpsc;

use crate::swarm::{CHUNK, Tree, member, within};

/// The number by which the actor speaks of the content; unlike a node's, so that the two are not confused.
pub(crate) const INDEX: ContentIndex = ContentIndex(5);

/// How the actor answers a request for a chunk.
pub(crate) enum Reply {
    /// With these bytes of the chunk, or the parts of them that were asked for, and this proof.
    Data(Vec<u8>, Option<SignedBatch>),
    /// With this frame, as if it were the chunk packed, and this many bytes of it announced.
    Packed(Vec<u8>, u32),
    /// With the beginning of an answer, so many of these bytes; the stream stays open.
    Begun(Vec<u8>, usize),
    /// Not, and it says so.
    Refusal,
    /// Not at all; the stream stays open.
    Silence,
}

/// See the module's text.
pub(crate) struct Actor {
    endpoint: Endpoint,
    manifest: Manifest,
    data: Vec<u8>,
    key: DatasetKey,
    endorsement: Endorsement,
    peer: PeerId,
}

/// Every actor of a test is another peer.
static ACTORS: AtomicU8 = AtomicU8::new(1);

impl Actor {
    /// An actor that knows `tree` and endorses it itself.
    pub(crate) fn knowing(tree: &Tree) -> Arc<Self> {
        Self::with(tree, &TransportSettings::default(), CHUNK)
    }

    /// An actor with a socket of its own kind, that cuts the content into chunks of `chunk` bytes.
    pub(crate) fn with(tree: &Tree, settings: &TransportSettings, chunk: u64) -> Arc<Self> {
        let credentials = member();
        let endpoint = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &credentials, settings).unwrap();
        let entries = scan(&tree.source(), SymlinkPolicy::Refuse).unwrap().entries;
        let mut data = Vec::new();
        for entry in entries.as_slice().iter().filter(|entry| matches!(entry.kind, EntryKind::File { .. })) {
            data.extend(std::fs::read(tree.source().join(entry.path.to_string())).unwrap());
        }
        let manifest = Manifest::publish(entries, Some(chunk)).unwrap();
        let key = DatasetKey::from_seed(&[9; 32]);
        let endorsement = endorse(&credentials, manifest.id(), &key, TIME);
        let peer = PeerId([ACTORS.fetch_add(1, Ordering::Relaxed); 16]);
        Arc::new(Self { endpoint, manifest, data, key, endorsement, peer })
    }

    /// An actor that published the content later than others, with another key.
    pub(crate) fn later(tree: &Tree, chunk: u64) -> Arc<Self> {
        let mut actor = Arc::into_inner(Self::with(tree, &TransportSettings::default(), chunk)).unwrap();
        actor.key = DatasetKey::from_seed(&[8; 32]);
        actor.endorsement = endorse(&member(), actor.content(), &actor.key, TIME + 1);
        Arc::new(actor)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    pub(crate) fn content(&self) -> ContentId {
        self.manifest.id()
    }

    pub(crate) fn chunk_count(&self) -> u32 {
        self.manifest.layout().count()
    }

    /// The right bytes of a chunk.
    pub(crate) fn chunk(&self, index: u32) -> Vec<u8> {
        let layout = self.manifest.layout();
        let range = layout.range(layout.chunk(index).unwrap());
        self.data[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
    }

    /// A batch of this actor's own that lists the chunk with the right digest.
    pub(crate) fn proof(&self, index: u32) -> SignedBatch {
        let chunk = self.manifest.layout().chunk(index).unwrap();
        let digest = DigestKind::Blake3.digest(&self.chunk(index));
        SignedBatch::sign(&self.key, self.content(), &[(chunk, digest)])
    }

    /// A batch of this actor's own that lists the chunk with a wrong digest: that of as many zeros.
    pub(crate) fn lie(&self, index: u32) -> SignedBatch {
        let chunk = self.manifest.layout().chunk(index).unwrap();
        let zeros = vec![0; self.chunk(index).len()];
        SignedBatch::sign(&self.key, self.content(), &[(chunk, DigestKind::Blake3.digest(&zeros))])
    }

    /// Proofs of everything.
    pub(crate) fn proofs(&self) -> Message {
        let layout = self.manifest.layout();
        let digests = layout.chunks().map(|chunk| (chunk, DigestKind::Blake3.digest(&self.chunk(chunk.index()))));
        let batches = SignedBatch::sign_all(&self.key, self.content(), &digests.collect());
        Message::Digests { content: INDEX, batches: List::try_from(batches).unwrap() }
    }

    /// What a peer says that has all of the content.
    pub(crate) fn hello(&self) -> Hello {
        let offer = Offer { index: INDEX, id: self.content(), complete: true };
        Hello {
            version: VERSION,
            peer: self.peer,
            listen_port: self.address().port(),
            zone: Text::default(),
            publisher: false,
            agent: Text::default(),
            contents: List::try_from(vec![offer]).unwrap(),
            wants: Wants::Nothing,
        }
    }

    /// Connects to the node at `address`, and says nothing yet.
    pub(crate) async fn connect(&self, address: SocketAddr) -> Connection {
        within("connection", dial(&self.endpoint, address).unwrap()).await.unwrap()
    }

    /// Becomes a neighbour of the node at `address`.
    pub(crate) async fn meet(&self, address: SocketAddr, hello: Hello) -> Meeting {
        Meeting::greet(self.connect(address).await, hello).await
    }

    /// Becomes a neighbour of the first node that dials.
    pub(crate) async fn await_node(&self) -> Meeting {
        let connection = within("connection", async { self.endpoint.accept().await.unwrap().await.unwrap() }).await;
        Meeting::greet(connection, self.hello()).await
    }

    /// Takes part in the swarm of the content: introduces itself, says `proofs` and that it has everything once the node has
    /// introduced itself too, and answers requests as `reply` says.
    pub(crate) async fn play(
        self: Arc<Self>,
        meeting: Meeting,
        proofs: Option<Message>,
        reply: impl Fn(&Self, &Request) -> Reply + Send + 'static,
    ) -> Play {
        self.take_part(meeting, proofs, false, reply).await
    }

    /// As [`Actor::play`], but the pages of the manifest that it offers are not those that make its name.
    pub(crate) async fn play_with_wrong_pages(self: Arc<Self>, meeting: Meeting) -> Play {
        self.take_part(meeting, None, true, |_, _| Reply::Silence).await
    }

    async fn take_part(
        self: Arc<Self>,
        mut meeting: Meeting,
        proofs: Option<Message>,
        wrong_pages: bool,
        reply: impl Fn(&Self, &Request) -> Reply + Send + 'static,
    ) -> Play {
        let offers = self.hello().contents;
        meeting.tell(&Message::Offers(offers)).await;
        let list = List::try_from(vec![self.endorsement.clone()]).unwrap();
        meeting.tell(&Message::Endorsements { content: INDEX, list }).await;
        let Meeting { connection, send, recv } = meeting;
        let (asks, asked) = mpsc::unbounded_channel();
        tokio::spawn(converse(send, recv, proofs));
        tokio::spawn(self.answer(connection.clone(), asks, wrong_pages, reply));
        Play { connection, asked }
    }

    async fn answer(
        self: Arc<Self>,
        connection: Connection,
        asked: mpsc::UnboundedSender<Request>,
        wrong_pages: bool,
        reply: impl Fn(&Self, &Request) -> Reply,
    ) {
        let mut unanswered = Vec::new();
        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
            match frames::read::<Open>(&mut recv).await {
                Ok(Open::Header { .. }) => answer_page(send, Some(self.manifest.header_bytes())).await,
                Ok(Open::Page { page, .. }) => {
                    let right = self.manifest.page(page);
                    let sent = if wrong_pages { right.map(|page| vec![0; page.len()]) } else { right };
                    answer_page(send, sent).await;
                }
                Ok(Open::Chunk(request)) => {
                    // A test that has seen enough does not listen any more.
                    let _ = asked.send(request.clone());
                    match reply(&self, &request) {
                        Reply::Data(data, proof) => answer_chunk(&mut send, &request, &data, proof).await,
                        Reply::Packed(frame, length) => answer_packed(&mut send, &request, &frame, length).await,
                        Reply::Begun(data, len) => {
                            begin_answer(&mut send, &request, &data, len).await;
                            unanswered.push(send);
                        }
                        Reply::Refusal => {
                            let _ = frames::write(&mut send, &Answer::Rejected { reason: Refusal::NotHeld }).await;
                        }
                        Reply::Silence => unanswered.push(send),
                    }
                }
                Err(_) => {}
            }
        }
    }
}

/// When the actors' publisher is said to have begun.
const TIME: u64 = 1_700_000_000;

fn endorse(credentials: &Credentials, content: ContentId, key: &DatasetKey, time: u64) -> Endorsement {
    let signed = credentials.sign(&Endorsement::payload_of(content, key.id(), time)).unwrap();
    let (scheme, signature, chain) = (signed.scheme, signed.signature, signed.chain);
    Endorsement { content, key: key.id(), time, scheme, signature, chain }
}

async fn converse(mut send: SendStream, mut recv: RecvStream, proofs: Option<Message>) {
    while let Ok(message) = frames::read::<Message>(&mut recv).await {
        if matches!(message, Message::Offers(_)) {
            let held = Message::Bitfield { content: INDEX, form: Form::All };
            for message in proofs.iter().chain([&held]) {
                let _ = frames::write(&mut send, message).await;
            }
        }
    }
}

async fn answer_page(mut send: SendStream, bytes: Option<Vec<u8>>) {
    let Some(bytes) = bytes else {
        let _ = frames::write(&mut send, &Answer::Rejected { reason: Refusal::NotHeld }).await;
        return;
    };
    let _ = frames::write(&mut send, &Answer::Manifest { length: u32::try_from(bytes.len()).unwrap() }).await;
    let _ = send.write_all(&bytes).await;
}

/// The parts of a chunk that are asked for, one after the other.
pub(crate) fn wanted(request: &Request, chunk: &[u8]) -> Vec<u8> {
    if request.ranges.is_whole() {
        return chunk.to_vec();
    }
    request.ranges.iter().flat_map(|part| &chunk[part.start as usize..part.end as usize]).copied().collect()
}

/// Sends the beginning of an answer, and returns when it is on its way.
async fn begin_answer(send: &mut SendStream, request: &Request, chunk: &[u8], len: usize) {
    let data = wanted(request, chunk);
    let (length, ranges) = (u32::try_from(data.len()).unwrap(), request.ranges.clone());
    let answer = Answer::Data { chunk: request.chunk, ranges, encoding: Encoding::Raw, length };
    let _ = frames::write(send, &answer).await;
    let _ = send.write_all(&data[..len.min(data.len())]).await;
}

async fn answer_chunk(send: &mut SendStream, request: &Request, chunk: &[u8], proof: Option<SignedBatch>) {
    begin_answer(send, request, chunk, chunk.len()).await;
    let _ = frames::write(send, &Trailer { proof, waiting: 0 }).await;
    let _ = send.finish();
}

async fn answer_packed(send: &mut SendStream, request: &Request, frame: &[u8], length: u32) {
    let (chunk, ranges) = (request.chunk, request.ranges.clone());
    let _ = frames::write(send, &Answer::Data { chunk, ranges, encoding: Encoding::Zstd, length }).await;
    let _ = send.write_all(frame).await;
    let _ = frames::write(send, &Trailer { proof: None, waiting: 0 }).await;
    let _ = send.finish();
}

/// A connection to a node, on which hellos are exchanged.
pub(crate) struct Meeting {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
}

impl Meeting {
    async fn greet(connection: Connection, hello: Hello) -> Self {
        let mut send = connection.open_uni().await.unwrap();
        frames::write(&mut send, &Message::Hello(hello)).await.unwrap();
        let mut recv = within("hello", connection.accept_uni()).await.unwrap();
        assert!(matches!(frames::read(&mut recv).await.unwrap(), Message::Hello(_)));
        frames::write(&mut send, &Message::Welcome).await.unwrap();
        assert_eq!(within("welcome", frames::read::<Message>(&mut recv)).await.unwrap(), Message::Welcome);
        Self { connection, send, recv }
    }

    pub(crate) async fn tell(&mut self, message: &Message) {
        frames::write(&mut self.send, message).await.unwrap();
    }

    /// Waits for the control message that `wanted` recognises.
    pub(crate) async fn hear<T>(&mut self, what: &str, wanted: impl Fn(Message) -> Option<T>) -> T {
        within(what, async {
            loop {
                if let Some(found) = wanted(frames::read(&mut self.recv).await.unwrap()) {
                    return found;
                }
            }
        })
        .await
    }
}

/// An actor that takes part.
pub(crate) struct Play {
    pub(crate) connection: Connection,
    asked: mpsc::UnboundedReceiver<Request>,
}

impl Play {
    /// Waits until it is asked for a chunk.
    pub(crate) async fn asked(&mut self) -> Request {
        within("request", self.asked.recv()).await.expect("the play goes on")
    }
}

/// Why the other side closed a connection.
pub(crate) async fn closing_reason(connection: &Connection) -> Reason {
    match within("end of the connection", connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => {
            Reason::from_code(u8::try_from(close.error_code.into_inner()).unwrap())
        }
        other => panic!("the connection ended otherwise: {other}"),
    }
}
