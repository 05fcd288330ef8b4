//! A name server on a loopback port, whose answers a test changes while nodes ask.
//!
//! Messages are read and written by the library that the program uses as well; a server of its own would only be another reader of the same
//! standard, and the answers here are a test's in any case.
//!
//! Invariant: it knows exactly the names that a test gave it; every other name does not exist.
//!
//! Not here: TCP (answers of a few hundred bytes fit into a datagram that says so).

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// What it knows, and what it was asked.
#[derive(Default)]
struct State {
    records: Vec<(Name, RData)>,
    ttl: u32,
    asked: Vec<(Name, RecordType)>,
}

/// The server; it ends with the test's process.
pub(crate) struct Names {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A name that does not depend on a search list.
pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

impl Names {
    /// A server whose answers hold for so many seconds.
    pub(crate) fn start(ttl: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { ttl, ..State::default() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let (len, from) = socket.recv_from(&mut buffer).unwrap();
                let answer = answer(&buffer[..len], &mut shared.lock().unwrap());
                // Whoever asked may be gone.
                let _ = socket.send_to(&answer, from);
            }
        });
        Self { address, state }
    }

    /// What `--peer-list-dns-server` takes.
    pub(crate) fn server(&self) -> String {
        self.address.to_string()
    }

    /// From now on these are all records.
    pub(crate) fn set(&self, records: Vec<(Name, RData)>) {
        self.state.lock().unwrap().records = records;
    }

    /// How often a name was asked about.
    pub(crate) fn asked(&self, wanted: &Name, kind: RecordType) -> usize {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|(name, asked)| name == wanted && *asked == kind).count()
    }
}

/// A service at this port of this host.
pub(crate) fn service(port: u16, host: &Name) -> RData {
    RData::SRV(SRV::new(0, 0, port, host.clone()))
}

fn answer(question: &[u8], state: &mut State) -> Vec<u8> {
    let mut message = Message::from_vec(question).unwrap().into_response();
    let query = message.queries[0].clone();
    state.asked.push((query.name().clone(), query.query_type()));
    let known: Vec<&RData> =
        state.records.iter().filter(|(name, _)| name == query.name()).map(|(_, data)| data).collect();
    if known.is_empty() {
        message.metadata.response_code = ResponseCode::NXDomain;
    }
    for data in known.into_iter().filter(|data| data.record_type() == query.query_type()) {
        message.add_answer(Record::from_rdata(query.name().clone(), state.ttl, data.clone()));
    }
    message.to_vec().unwrap()
}
