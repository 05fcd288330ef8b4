//! A bounded place for work that blocks: disk and hashing.
//!
//! The runtime's own blocking threads number in the hundreds. So many readers thrash a disk, and so many buffers break
//! the memory budget. This pool has a fixed number of threads, and jobs wait in a queue without holding anything. It is no
//! layer over those of the runtime, because a chunk may be as small as a job that takes 30 microseconds: there a thread is woken while the queue is
//! locked and goes to sleep again on the lock, which makes four system calls of every job where one is needed.
//!
//! Invariant: at most `threads` jobs run at any moment, also when the futures that wait for them are dropped. A job in the queue is seen by
//! a thread that is awake, or one was woken for it.
//!
//! Not here: priorities and cancelling. A job that has begun runs to its end; jobs are a chunk long.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// A thread without work for so long ends (10 s, as the runtime's own do).
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Runs blocking jobs, a fixed number at a time. Clones share the limit.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    /// Goes with the last clone, and ends the threads.
    _end: Arc<End>,
}

/// Tells the threads of a pool that nobody can bring jobs any more when it is dropped.
#[derive(Debug)]
struct End(Arc<Shared>);

type Job = Box<dyn FnOnce() + Send>;

struct Shared {
    threads_max: usize,
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Threads that there are.
    threads: usize,
    /// Those among them that sleep and that nobody has called.
    asleep: usize,
    /// Calls that no sleeper has heard yet. A sleeper that wakes without one goes on sleeping.
    calls: usize,
    /// Whether nobody can bring jobs any more.
    closed: bool,
}

impl Pool {
    /// A pool that runs `threads` jobs at a time; at least one.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let shared = Shared { threads_max: threads.max(1), queue: Mutex::default(), work: Condvar::new() };
        let shared = Arc::new(shared);
        Self { _end: Arc::new(End(Arc::clone(&shared))), shared }
    }

    /// Runs `job` on a thread of the pool and waits for its result.
    ///
    /// # Panics
    /// When the job panics, with the same payload: a bug in a job is a bug of its caller. When the system has no thread left.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = oneshot::channel();
        self.shared.bring(Box::new(move || {
            // A caller that gave up needs no result.
            let _ = done.send(catch_unwind(AssertUnwindSafe(job)));
        }));
        match result.await {
            Ok(Ok(result)) => result,
            Ok(Err(payload)) => resume_unwind(payload),
            // A job is dropped only with the whole pool, and then nobody waits for it.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    /// Puts a job into the queue and sees to it that a thread looks there.
    fn bring(self: &Arc<Self>, job: Job) {
        let mut queue = self.lock();
        queue.jobs.push_back(job);
        if queue.asleep > 0 {
            queue.asleep -= 1;
            queue.calls += 1;
            // Or it would wake up to wait for the lock.
            drop(queue);
            self.work.notify_one();
        } else if queue.threads < self.threads_max {
            queue.threads += 1;
            drop(queue);
            let shared = Arc::clone(self);
            let thread = thread::Builder::new().name("strew-pool".into());
            thread.spawn(move || shared.work()).expect("the system has a thread for the disk");
        }
    }

    /// What a thread does: one job after the other.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = self.lock();
                continue;
            }
            queue.asleep += 1;
            let silent = |queue: &mut Queue| queue.calls == 0 && !queue.closed;
            let slept = self.work.wait_timeout_while(queue, IDLE_MAX, silent);
            queue = slept.expect("no thread panics while it holds the queue").0;
            if queue.calls == 0 {
                // Closed, or idle for too long.
                queue.asleep -= 1;
                break;
            }
            queue.calls -= 1;
        }
        queue.threads -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no thread panics while it holds the queue")
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool of {}", self.threads_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, mpsc};

    #[tokio::test]
    async fn never_runs_more_jobs_than_it_has_threads() {
        let pool = Pool::new(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pair = Arc::new(Barrier::new(2));
        let jobs: Vec<_> = (0..8)
            .map(|_| {
                let (pool, running, most, pair) = (pool.clone(), running.clone(), most.clone(), pair.clone());
                tokio::spawn(async move {
                    pool.run(move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        // Two meet here each time, so the test also fails when only one job runs at a time.
                        pair.wait();
                        running.fetch_sub(1, Ordering::SeqCst);
                    })
                    .await;
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_job_whose_caller_gave_up_keeps_its_place() {
        let pool = Pool::new(1);
        let (release, gate) = mpsc::channel::<()>();
        let (started, wait) = tokio::sync::oneshot::channel();
        let abandoned = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move || {
                    started.send(()).unwrap();
                    gate.recv().unwrap();
                })
                .await;
            }
        });
        wait.await.unwrap();
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        assert_eq!(pool.shared.lock().asleep, 0, "its thread is busy still");
        release.send(()).unwrap();
        assert_eq!(pool.run(|| 7).await, 7);
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller() {
        let caller = tokio::spawn(async { Pool::new(1).run(|| panic!("as it was")).await });
        let payload = caller.await.unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"as it was"));
    }

    #[tokio::test]
    async fn every_job_is_done_however_threads_fall_asleep_between() {
        let pool = Pool::new(3);
        for round in 0..2000u32 {
            let jobs: Vec<_> = (0..round % 7)
                .map(|job| {
                    tokio::spawn({
                        let pool = pool.clone();
                        async move { pool.run(move || job).await }
                    })
                })
                .collect();
            for (job, done) in (0..).zip(jobs) {
                assert_eq!(done.await.unwrap(), job);
            }
        }
        let queue = pool.shared.lock();
        assert!(queue.threads <= 3 && queue.asleep + queue.calls <= queue.threads && queue.jobs.is_empty());
    }

    #[tokio::test]
    async fn threads_end_with_the_last_clone() {
        let pool = Pool::new(2);
        let clone = pool.clone();
        assert_eq!(clone.run(|| 1).await, 1);
        let shared = Arc::clone(&pool.shared);
        drop(pool);
        assert_eq!(clone.run(|| 2).await, 2, "one clone is as good as two");
        drop(clone);
        assert!(shared.lock().closed);
    }
}
