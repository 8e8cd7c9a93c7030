//! The gate every call passes: the log, the faults, crashes, pauses and interleavings.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::panic::panic_any;
use std::pin::{Pin, pin};
use std::task::Poll;

use landfall_core::error::{PortError, PortErrorKind};

use super::FakeAws;
use super::calls::{CallResult, Request};
use super::fault::{Fault, InjectedPanic};
use super::world::{World, refusal, unavailable};

thread_local! {
    /// The process whose future is being polled; 0 outside of [`FakeAws::run_until_crash`].
    static PROCESS: Cell<u64> = const { Cell::new(0) };
}

/// The process of the invocation ended in the middle ([`Fault::CrashBefore`], [`Fault::CrashAfter`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crashed;

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
            _ => {}
        }
        let answer = {
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
                    let answer = world.enter_and(&request, effect);
                    world.corrupt = false;
                    answer
                }
            };
            if fault != Some(Fault::CrashAfter) {
                let result = answer
                    .as_ref()
                    .map_or_else(|error| CallResult::Failed(error.kind), |_| CallResult::Answered);
                world.finish(number, result);
            }
            answer
        };
        if fault == Some(Fault::CrashAfter) {
            self.crash().await;
        }
        answer
    }

    /// One chunk of a body is about to be read: not logged, but faults named `ReadBody` apply.
    pub(crate) async fn read_body(&self, request: &Request) -> Result<bool, PortError> {
        let fault = {
            let mut world = self.lock();
            if world.dead.contains(&PROCESS.get()) {
                Some(Fault::CrashBefore)
            } else {
                world.script.next(request, usize::MAX)
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
        let process = self.lock().tick();
        let mut future = pin!(future);
        poll_fn(|context| {
            let outer = PROCESS.replace(process);
            let polled = future.as_mut().poll(context);
            PROCESS.set(outer);
            match polled {
                Poll::Ready(output) => Poll::Ready(Ok(output)),
                Poll::Pending => {
                    let mut world = self.lock();
                    if world.dead.contains(&process) {
                        return Poll::Ready(Err(Crashed));
                    }
                    world.crash_wakers.insert(process, context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
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
            if world.dead.contains(&PROCESS.get()) { None } else { Some(world.begin(request)) }
        };
        match entered {
            Some(entered) => entered,
            None => pending().await,
        }
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
