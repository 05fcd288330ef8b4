//! Runner: the thread that runs hooks, so many at a time, in the order of their coming.
//!
//! Starting a process takes about a millisecond of whoever starts it, and files may become final by the thousand, so hooks have a thread
//! and a runtime of their own: the transfer never waits for one. What waits is a number and a flag for each file, whatever its name.
//!
//! Invariant: no more than the configured number run at a time; the hook of the whole begins when no other waits or runs; dropping
//! [`Hooks`] leaves none running.
//!
//! Not here: when hooks are wanted and what a failure means (`transfer`).

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::future::{Future, poll_fn};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::config::HookConfig;
use super::process::{self, Outcome, Printing};
use super::program::{Found, ProgramError, find};
use super::values::{Occasion, Value, Values, go_duration};
use crate::manifest::Entries;
use crate::store::Named;

/// What a hook did.
#[derive(Clone, Debug)]
pub struct News {
    /// Of which kind it is.
    pub occasion: Occasion,
    /// The file that it is about.
    pub path: Option<PathBuf>,
    /// How it ended and after which time; `None` when it began.
    pub ended: Option<(Outcome, Duration)>,
}

/// What a run's completion tells its hook.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The content id.
    pub content: String,
    /// The root of all digests.
    pub root: String,
    /// Bytes of all files.
    pub bytes: u64,
    /// Since the start of the run.
    pub elapsed: Duration,
}

enum Order {
    Files(Arc<Entries>, Vec<Named>),
    Complete(Completion),
    Forget,
}

/// The hooks of a run.
pub struct Hooks {
    /// `None` once nothing more is to come.
    orders: Option<UnboundedSender<Order>>,
    news: UnboundedReceiver<News>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why there are no hooks.
#[derive(Debug, thiserror::Error)]
pub enum HooksError {
    /// A program is missing.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The system gives no thread.
    #[error("cannot start the thread for hooks")]
    Thread(#[source] std::io::Error),
}

impl Hooks {
    /// Finds the programs and waits for work. `destination` is where the files are.
    ///
    /// # Errors
    /// [`HooksError`] when a program is missing, or the system gives no thread.
    pub fn start(config: &HookConfig, destination: &Path, printing: Printing) -> Result<Self, HooksError> {
        let (file, complete) = find(config)?;
        let (sender, orders) = unbounded_channel();
        let (told, news) = unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(HooksError::Thread)?;
        let runner = Runner {
            file: file.map(Arc::new),
            complete: complete.map(Arc::new),
            jobs: config.jobs.get(),
            timeout: config.timeout,
            printing,
            // The process never changes its folder, but a hook may.
            destination: std::path::absolute(destination).unwrap_or_else(|_| destination.to_owned()),
            waiting: VecDeque::new(),
            last: None,
            nonempty: None,
            running: Vec::new(),
            told,
        };
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = runner.run(orders) => {}
                    // Dropping what runs kills it.
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("hooks".into()).spawn(work).map_err(HooksError::Thread)?;
        Ok(Self { orders: Some(sender), news, stop: Some(stop), thread: Some(thread) })
    }

    /// These files are final.
    pub fn files(&self, entries: Arc<Entries>, files: Vec<Named>) {
        self.order(Order::Files(entries, files));
    }

    /// Everything is.
    pub fn complete(&self, completion: Completion) {
        self.order(Order::Complete(completion));
    }

    /// Nothing more is to come. What waits is run, unless it is to be forgotten.
    pub fn close(&mut self, forget: bool) {
        if forget {
            self.order(Order::Forget);
        }
        self.orders = None;
    }

    /// The next news; `None` when it was closed and everything has ended.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread ends only after this end is closed.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the process already.
            let _ = thread.join();
        }
    }
}

type Running = Pin<Box<dyn Future<Output = News> + Send>>;

struct Runner {
    file: Option<Arc<Found>>,
    complete: Option<Arc<Found>>,
    jobs: usize,
    timeout: Option<Duration>,
    printing: Printing,
    destination: PathBuf,
    /// Files whose hooks have not begun, in groups as they came.
    waiting: VecDeque<(Arc<Entries>, VecDeque<Named>)>,
    last: Option<Completion>,
    /// How many files of the content are not empty, once it is known.
    nonempty: Option<usize>,
    running: Vec<Running>,
    told: UnboundedSender<News>,
}

impl Runner {
    async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        let mut closed = false;
        loop {
            self.begin_waiting();
            if closed && self.running.is_empty() {
                return;
            }
            tokio::select! {
                order = orders.recv(), if !closed => match order {
                    Some(order) => self.take(order),
                    None => closed = true,
                },
                news = first_of(&mut self.running), if !self.running.is_empty() => self.tell(news),
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Files(entries, files) => {
                let has_bytes = |entry: usize| entries.as_slice()[entry].size() > 0;
                let count = || (0..entries.as_slice().len()).filter(|entry| has_bytes(*entry)).count();
                self.nonempty.get_or_insert_with(count);
                if self.file.is_some() {
                    let files = files.into_iter().filter(|file| has_bytes(file.entry as usize)).collect();
                    self.waiting.push_back((entries, files));
                }
            }
            Order::Complete(completion) => self.last = Some(completion).filter(|_| self.complete.is_some()),
            Order::Forget => {
                self.waiting.clear();
                self.last = None;
            }
        }
    }

    /// Begins as many hooks as may run.
    fn begin_waiting(&mut self) {
        while self.running.len() < self.jobs
            && let Some(hook) = self.file.clone()
            && let Some((path, values)) = self.next_file()
        {
            self.begin(hook, Occasion::File, Some(path), values);
        }
        if self.running.is_empty()
            && self.waiting.is_empty()
            && let Some(hook) = self.complete.clone()
            && let Some(completion) = self.last.take()
        {
            let values = completion.values(self.nonempty.unwrap_or_default());
            self.begin(hook, Occasion::Complete, None, values);
        }
    }

    fn next_file(&mut self) -> Option<(PathBuf, Values)> {
        loop {
            let (entries, files) = self.waiting.front_mut()?;
            if let Some(file) = files.pop_front() {
                let entry = &entries.as_slice()[file.entry as usize];
                let path = self.destination.join(OsStr::from_bytes(entry.path.as_bytes()));
                let values = Values::default()
                    .with(Value::FilePath, &path)
                    .with(Value::FileSize, entry.size().to_string())
                    .with(Value::FileKept, file.kept.to_string());
                return Some((path, values));
            }
            self.waiting.pop_front();
        }
    }

    fn begin(&mut self, hook: Arc<Found>, occasion: Occasion, path: Option<PathBuf>, values: Values) {
        self.tell(News { occasion, path: path.clone(), ended: None });
        let (printing, timeout) = (self.printing, self.timeout);
        self.running.push(Box::pin(async move {
            let began = Instant::now();
            let outcome = process::run(&hook, &values, printing, timeout).await;
            News { occasion, path, ended: Some((outcome, began.elapsed())) }
        }));
    }

    fn tell(&self, news: News) {
        // Whoever stopped listening drops us next.
        let _ = self.told.send(news);
    }
}

impl Completion {
    fn values(self, files: usize) -> Values {
        Values::default()
            .with(Value::ElapsedTime, go_duration(self.elapsed))
            .with(Value::FileCount, files.to_string())
            .with(Value::TotalFileSize, self.bytes.to_string())
            .with(Value::ContentId, self.content)
            .with(Value::Root, self.root)
    }
}

/// The first of these that ends; it is taken out.
async fn first_of(running: &mut Vec<Running>) -> News {
    poll_fn(|context| {
        for at in 0..running.len() {
            if let Poll::Ready(news) = running[at].as_mut().poll(context) {
                drop(running.swap_remove(at));
                return Poll::Ready(news);
            }
        }
        Poll::Pending
    })
    .await
}
