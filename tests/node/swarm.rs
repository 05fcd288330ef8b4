//! Nodes run through the library alone, in this process and on loopback, and the trees that they replicate.
//!
//! Invariant: whatever a test waits for is a report of a node, within a bound that only a hang exceeds.
//!
//! Not here: peers that do not behave (`actor`).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use strew::identity::{Credentials, KeyRing, SwarmKey};
use strew::node::{self, Compression, NodeConfig, NodeError, Report, Reports, Snapshot, Summary, Task};
use strew::units::{Bytes, Rng};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Chunks are small, so that a small tree has many.
pub(crate) const CHUNK: u64 = 16 << 10;

/// A test that hangs should fail and say so.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, future).await.unwrap_or_else(|_| panic!("no {what} within {patience:?}"))
}

/// A member of the swarm of all tests.
pub(crate) fn member() -> Credentials {
    static KEY: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::single(SwarmKey::generate().unwrap()));
    Credentials::from_keys(&KEY).unwrap()
}

/// A source tree, and room for destinations beside it.
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    /// Files of random bytes, whose sizes sum up to about two mebibytes; equal seeds make equal trees.
    pub(crate) fn random(seed: u64) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        let mut rng = Rng::with_seed(seed);
        for (n, len) in [0, 1, 5000, 16 << 10, 300_000, 700_001, 1 << 20].into_iter().enumerate() {
            let path = tree.source().join(format!("folder {}/file {n}", n % 3));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut data = vec![0; len];
            rng.fill(&mut data);
            std::fs::write(&path, data).unwrap();
        }
        tree.set_times();
        tree
    }

    /// The same names and sizes, with bytes that pack to a fraction.
    pub(crate) fn of_words(seed: u64) -> Self {
        let tree = Self::random(seed);
        let mut rng = Rng::with_seed(seed);
        for (path, bytes) in files(&tree.source()) {
            let mut text = Vec::new();
            while text.len() < bytes.len() {
                text.extend_from_slice(["chunk ", "peer ", "of ", "a ", "swarm\n"][rng.usize(..5)].as_bytes());
            }
            text.truncate(bytes.len());
            std::fs::write(tree.source().join(path), text).unwrap();
        }
        tree.set_times();
        tree
    }

    /// A tree of the same names, sizes and times, with one other byte.
    pub(crate) fn twin(&self, seed: u64) -> Self {
        let twin = Self::random(seed);
        let path = twin.source().join("folder 0/file 6");
        let mut data = std::fs::read(&path).unwrap();
        data[77] ^= 1;
        std::fs::write(&path, data).unwrap();
        twin.set_times();
        twin
    }

    /// Equal names, sizes and times make equal contents, whatever the bytes are.
    fn set_times(&self) {
        let mut paths = vec![self.source()];
        while let Some(path) = paths.pop() {
            if path.is_dir() {
                paths.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
            std::fs::File::open(&path).unwrap().set_modified(time).unwrap();
        }
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.0.path().join("source")
    }

    pub(crate) fn destination(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Asserts that a destination has what the source has.
    pub(crate) fn assert_copied_to(&self, name: &str) {
        let (source, copy) = (files(&self.source()), files(&self.destination(name)));
        assert_eq!(source.keys().collect::<Vec<_>>(), copy.keys().collect::<Vec<_>>());
        assert!(source == copy, "some bytes of {name} differ");
    }
}

/// Path and bytes of every file beneath `root`, strew's own folder aside.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut paths) = (BTreeMap::new(), vec![root.to_path_buf()]);
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            paths.extend(inside.filter(|path| !path.ends_with(".strew")));
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    news: mpsc::UnboundedReceiver<Report>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Summary, NodeError>>,
}

impl Running {
    pub(crate) async fn publisher(src: PathBuf) -> Self {
        Self::publisher_among(src, &[]).await
    }

    pub(crate) async fn publisher_among(src: PathBuf, peers: &[SocketAddr]) -> Self {
        Self::start(Task::Publish { src }, peers, |config| config.chunk_size = Some(Bytes(CHUNK))).await
    }

    pub(crate) async fn publisher_with(src: PathBuf, chunk: u64) -> Self {
        Self::start(Task::Publish { src }, &[], |config| config.chunk_size = Some(Bytes(chunk))).await
    }

    pub(crate) async fn puller(dst: PathBuf, peers: &[SocketAddr]) -> Self {
        Self::start(Task::Pull { dst }, peers, |_| {}).await
    }

    /// A puller that asks for packed chunks.
    pub(crate) async fn packed_puller(dst: PathBuf, peers: &[SocketAddr], compress: Compression) -> Self {
        Self::start(Task::Pull { dst }, peers, |config| config.compress = compress).await
    }

    /// A puller in whose memory one chunk has room at a time: half of it is for chunks.
    pub(crate) async fn narrow_puller(dst: PathBuf, peers: &[SocketAddr]) -> Self {
        Self::start(Task::Pull { dst }, peers, |config| config.memory = Bytes(2 * CHUNK)).await
    }

    /// Starts a node and waits until it listens.
    async fn start(task: Task, peers: &[SocketAddr], change: impl FnOnce(&mut NodeConfig)) -> Self {
        let mut config = NodeConfig::new(task);
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.peers = peers.iter().map(|peer| peer.to_string().parse().unwrap()).collect();
        change(&mut config);
        let (reports, mut news) = Reports::channel();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(node::run(config, member(), reports, shutdown));
        let address = within("start", async {
            loop {
                match news.recv().await {
                    Some(Report::Started { listen, .. }) => return listen,
                    Some(_) => {}
                    None => panic!("the node ended before it listened"),
                }
            }
        });
        Self { address: address.await, news, stop, task }
    }

    /// Waits for a report, and returns what `wanted` makes of it.
    pub(crate) async fn report<T>(&mut self, what: &str, wanted: impl Fn(&Report) -> Option<T>) -> T {
        within(what, async {
            loop {
                let Some(report) = self.news.recv().await else {
                    panic!("the node ended without {what}: {:?}", (&mut self.task).await);
                };
                if let Some(found) = wanted(&report) {
                    return found;
                }
            }
        })
        .await
    }

    /// Waits until the content is complete.
    pub(crate) async fn complete(&mut self) -> Snapshot {
        let complete = |report: &Report| match report {
            Report::Complete(snapshot) => Some(snapshot.clone()),
            _ => None,
        };
        self.report("completion", complete).await
    }

    /// Asks the node to stop and waits for its end.
    pub(crate) async fn stop(self) -> Summary {
        drop(self.stop);
        within("end", self.task).await.unwrap().unwrap()
    }

    /// Waits for the node's own end.
    pub(crate) async fn end(&mut self) -> Result<Summary, NodeError> {
        within("end", &mut self.task).await.unwrap()
    }

    /// Drops the node in the middle of whatever it does, as a program that uses the library may.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(within("end", self.task).await.unwrap_err().is_cancelled());
    }
}
