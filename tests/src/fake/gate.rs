//! The gate every call passes: the log, the faults, crashes, pauses and interleavings.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::ops::DerefMut;
use std::panic::panic_any;
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfall_core::error::{PortError, PortErrorKind};

use super::FakeAws;
use super::calls::{BodyRead, CallResult, Request};
use super::fault::{Fault, InjectedPanic};
use super::world::{World, refusal, unavailable};

thread_local! {
    /// The process whose future is being polled; 0 outside of [`FakeAws::run_until_crash`].
    static PROCESS: Cell<u64> = const { Cell::new(0) };
}

/// The process of the invocation ended in the middle ([`Fault::CrashBefore`], [`Fault::CrashAfter`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crashed;

/// How far a process came.
#[derive(Debug)]
pub enum Ended<T> {
    /// To its end.
    Done(T),
    /// It was ended in the middle: a crash, or its time was over. Drop its future.
    Crashed,
    /// It stands still until then ([`Fault::Freeze`]): [`FakeAws::thaw`] it and run it again.
    Frozen(Timestamp),
}

impl FakeAws {
    /// Makes one call: `effect` is the service's rule, run while nobody else looks.
    pub(crate) async fn call<T>(
        &self,
        request: Request,
        effect: impl FnOnce(&mut World, &Request) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.take_turn().await;
        let (number, fault) = self.enter(&request).await;
        match fault {
            Some(Fault::Panic) => injected_panic(),
            Some(Fault::CrashBefore) => self.crash().await,
            Some(Fault::Pause) => self.wait_for_resume().await,
            Some(Fault::Delay(seconds)) => self.pass(seconds).await,
            Some(Fault::Freeze { seconds, dies }) => self.freeze(seconds, dies).await,
            _ => {}
        }
        let (answer, ends) = {
            let mut world = self.lock();
            let answer = match fault {
                Some(Fault::Fail(PortErrorKind::Unavailable) | Fault::ErrorInside200) => {
                    Err(unavailable(&request, "InternalError"))
                }
                Some(Fault::Fail(kind)) => {
                    Err(refusal(request.operation, &request.subject(), kind, injected_code(kind)))
                }
                Some(Fault::Throttle) => {
                    Err(refusal(request.operation, &request.subject(), PortErrorKind::Throttled, "SlowDown"))
                }
                Some(Fault::Unreached) => {
                    let (operation, subject) = (request.operation, request.subject());
                    Err(refusal(operation, &subject, PortErrorKind::Unavailable, "ConnectionRefused"))
                }
                Some(Fault::LostResponse) => {
                    // The refusal, if it is one, is lost as well.
                    drop(world.enter_and(&request, effect));
                    Err(unavailable(&request, "RequestTimeout"))
                }
                _ => {
                    world.corrupt = fault == Some(Fault::Corrupt);
                    world.twice = fault == Some(Fault::Twice);
                    let answer = world.enter_and(&request, effect);
                    (world.corrupt, world.twice) = (false, false);
                    answer
                }
            };
            let ends = matches!(fault, Some(Fault::CrashAfter | Fault::Freeze { dies: true, .. }))
                || world.is_overdue(PROCESS.get());
            if !ends {
                let result = answer
                    .as_ref()
                    .map_or_else(|error| CallResult::Failed(error.kind), |_| CallResult::Answered);
                world.finish(number, result);
            }
            (answer, ends)
        };
        if ends {
            self.crash().await;
        }
        answer
    }

    /// One chunk of a body is about to be read: not logged, but faults named `ReadBody` apply.
    pub(crate) async fn read_body(&self, request: &Request) -> Result<bool, PortError> {
        let fault = {
            let mut world = self.lock();
            let process = PROCESS.get();
            if world.dead.contains(&process) || world.is_overdue(process) {
                Some(Fault::CrashBefore)
            } else {
                let fault = world.script.next(request, usize::MAX);
                let read = BodyRead {
                    function: request.principal.function(),
                    resource: request.resource.clone(),
                    key: request.key.clone().unwrap_or_default(),
                    after_call: world.calls.len(),
                    fault,
                };
                world.body_reads.push(read);
                fault
            }
        };
        match fault {
            Some(Fault::CrashBefore | Fault::CrashAfter) => {
                self.crash().await;
                Ok(false)
            }
            Some(Fault::Pause) => {
                self.wait_for_resume().await;
                Ok(false)
            }
            Some(Fault::Delay(seconds)) => {
                self.pass(seconds).await;
                Ok(false)
            }
            Some(Fault::Freeze { seconds, dies }) => {
                self.freeze(seconds, dies).await;
                if dies {
                    self.crash().await;
                }
                Ok(false)
            }
            Some(Fault::Panic) => injected_panic(),
            Some(Fault::Corrupt) => Ok(true),
            Some(Fault::Fail(kind)) => {
                Err(refusal(request.operation, &request.subject(), kind, injected_code(kind)))
            }
            Some(_) => Err(unavailable(request, "ConnectionReset")),
            None => Ok(false),
        }
    }

    /// Runs a future as one process, until it is done or the process crashes; a crashed future is dropped. Without
    /// this, a crash fault stops the test's own process for good.
    ///
    /// # Errors
    /// [`Crashed`] when a crash fault fired at a call of this future.
    pub async fn run_until_crash<F: Future>(&self, future: F) -> Result<F::Output, Crashed> {
        let process = self.begin_process(None);
        match self.run_process(process, &mut pin!(future)).await {
            Ended::Done(output) => Ok(output),
            Ended::Crashed | Ended::Frozen(_) => Err(Crashed),
        }
    }

    /// A new process, which is ended at its first call or answer after it has lived this long.
    pub fn begin_process(&self, lives: Option<SignedDuration>) -> u64 {
        let mut world = self.lock();
        let process = world.tick();
        if let Some(end) = lives.and_then(|lives| world.now().checked_add(lives).ok()) {
            world.ends.insert(process, end);
        }
        process
    }

    /// Runs the future of a process until it is done, ended in the middle, or stands still.
    pub async fn run_process<F: Future + ?Sized>(
        &self,
        process: u64,
        future: &mut Pin<impl DerefMut<Target = F>>,
    ) -> Ended<F::Output> {
        poll_fn(|context| {
            let outer = PROCESS.replace(process);
            let polled = future.as_mut().poll(context);
            PROCESS.set(outer);
            match polled {
                Poll::Ready(output) => Poll::Ready(Ended::Done(output)),
                Poll::Pending => {
                    let mut world = self.lock();
                    if world.dead.contains(&process) {
                        return Poll::Ready(Ended::Crashed);
                    }
                    if let Some(until) = world.frozen.get(&process) {
                        return Poll::Ready(Ended::Frozen(*until));
                    }
                    world.crash_wakers.insert(process, context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Lets a frozen process go on: run it again.
    pub fn thaw(&self, process: u64) {
        let wakers = {
            let mut world = self.lock();
            world.frozen.remove(&process);
            world.thaw_wakers.remove(&process)
        };
        // Whoever polls many futures polls only those that were woken.
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Lets time that passes inside a call pass for tokio too, whose clock must be paused.
    pub fn move_tokio(&self) {
        self.lock().moves_tokio = true;
    }

    /// Runs a future until it is done, or `None` once a call of anyone waits at [`Fault::Pause`]. The future stays
    /// alive: go on with it after [`FakeAws::resume`].
    pub async fn run_until_paused<F: Future + ?Sized>(&self, future: &mut Pin<Box<F>>) -> Option<F::Output> {
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.lock().paused > 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Lets every paused call go on.
    pub fn resume(&self) {
        let wakers = {
            let mut world = self.lock();
            world.resumed += 1;
            world.paused = 0;
            std::mem::take(&mut world.waiting)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// Logs the call and draws its fault; never returns in a crashed process.
    async fn enter(&self, request: &Request) -> (usize, Option<Fault>) {
        let entered = {
            let mut world = self.lock();
            let process = PROCESS.get();
            if world.dead.contains(&process) {
                None
            } else if world.is_overdue(process) {
                // Its time was over while others were at work.
                world.dead.insert(process);
                world.crash_wakers.remove(&process).into_iter().for_each(Waker::wake);
                None
            } else {
                Some(world.begin(request, process))
            }
        };
        match entered {
            Some(entered) => entered,
            None => pending().await,
        }
    }

    /// Time passes inside a call.
    async fn pass(&self, seconds: u32) {
        let moves_tokio = {
            let world = self.lock();
            world.clock.advance(SignedDuration::from_secs(seconds.into()));
            world.moves_tokio
        };
        if moves_tokio {
            tokio::time::advance(Duration::from_secs(seconds.into())).await;
        }
    }

    /// The process stands still until [`FakeAws::thaw`].
    async fn freeze(&self, seconds: u32, dies: bool) {
        let process = PROCESS.get();
        {
            let mut world = self.lock();
            let until = world.now().saturating_add(SignedDuration::from_secs(seconds.into()));
            world.frozen.insert(process, until.unwrap_or(Timestamp::MAX));
            if !dies {
                world.ends.remove(&process);
            }
        }
        poll_fn(|context| {
            let mut world = self.lock();
            if !world.frozen.contains_key(&process) {
                return Poll::Ready(());
            }
            world.thaw_wakers.entry(process).or_default().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    async fn crash(&self) {
        let process = PROCESS.get();
        let waker = {
            let mut world = self.lock();
            world.dead.insert(process);
            world.crash_wakers.remove(&process)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        pending::<()>().await;
    }

    async fn wait_for_resume(&self) {
        let generation = {
            let mut world = self.lock();
            world.paused += 1;
            world.resumed
        };
        poll_fn(|context| {
            let mut world = self.lock();
            if world.resumed != generation {
                return Poll::Ready(());
            }
            world.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Gives way to others a drawn number of times, when interleaving is on.
    async fn take_turn(&self) {
        let mut turns = self.lock().turns.as_mut().map_or(0, |random| random.below(4));
        poll_fn(|context| {
            if turns == 0 {
                return Poll::Ready(());
            }
            turns -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[expect(clippy::panic, reason = "the fault is a panic")]
fn injected_panic() -> ! {
    panic_any(InjectedPanic)
}

/// The code AWS sends with such a refusal.
fn injected_code(kind: PortErrorKind) -> &'static str {
    match kind {
        PortErrorKind::Denied | PortErrorKind::RoleRefused => "AccessDenied",
        PortErrorKind::BucketMissing => "NoSuchBucket",
        PortErrorKind::KeyRefused => "KMS.DisabledException",
        PortErrorKind::CatalogRefused => "AccessDeniedException",
        PortErrorKind::QueueRefused => "QueueDoesNotExist",
        PortErrorKind::NotFound => "NoSuchKey",
        PortErrorKind::Conflict => "ConditionalRequestConflict",
        PortErrorKind::Throttled => "SlowDown",
        PortErrorKind::Unavailable => "InternalError",
        PortErrorKind::Invalid => "InvalidRequest",
        PortErrorKind::Corrupt => "BadDigest",
    }
}
