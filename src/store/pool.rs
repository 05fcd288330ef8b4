//! A bounded place for work that blocks: disk and hashing.
//!
//! The runtime's own blocking threads number in the hundreds. So many readers thrash a disk, and so many buffers break
//! the memory budget. This pool lets a fixed number of jobs run at a time; the others wait without holding anything.
//!
//! Invariant: at most `threads` jobs run at any moment, also when the futures that wait for them are dropped.
//!
//! Not here: priorities and cancelling. A job that has begun runs to its end; jobs are a chunk long.

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Runs blocking jobs, a fixed number at a time. Clones share the limit.
#[derive(Clone, Debug)]
pub struct Pool {
    permits: Arc<Semaphore>,
}

impl Pool {
    /// A pool that runs `threads` jobs at a time; at least one.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// Runs `job` on a blocking thread and waits for its result. Must be called within a tokio runtime.
    ///
    /// # Panics
    /// When the job panics, with the same payload: a bug in a job is a bug of its caller.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the pool's semaphore is never closed");
        let work = move || {
            // Held by the job and not by this future: a caller that gives up must not let another job in beside it.
            let _permit = permit;
            job()
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => resume_unwind(payload),
                // The runtime drops queued jobs only while it shuts down, and then this future is dropped with it.
                Err(_) => std::future::pending().await,
            },
        }
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
        assert_eq!(pool.permits.available_permits(), 0);
        release.send(()).unwrap();
        assert_eq!(pool.run(|| 7).await, 7);
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller() {
        let caller = tokio::spawn(async { Pool::new(1).run(|| panic!("as it was")).await });
        let payload = caller.await.unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"as it was"));
    }
}
