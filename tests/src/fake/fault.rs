//! Faults: what goes wrong, at which call.

use landfall_core::error::PortErrorKind;

use super::FakeAws;
use super::calls::Request;
use super::random::Random;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused before any effect, with this kind. `Unavailable` on a call that writes is of unknown effect, as a
    /// 500 is.
    Fail(PortErrorKind),
    /// Refused with `Throttled`: 503 `SlowDown` or a throttling exception, without effect.
    Throttle,
    /// The service cannot be reached: `Unavailable`, surely without effect.
    Unreached,
    /// The effect happens and the answer is lost: `Unavailable`, effect unknown.
    LostResponse,
    /// No effect; the answer is a 200 that carries an error (copies and completions): `Unavailable`, effect unknown.
    ErrorInside200,
    /// The process ends before the call: the future never resolves, nor does any later call, until the invocation
    /// is dropped by [`FakeAws::run_until_crash`] (which the pipeline driver uses).
    CrashBefore,
    /// The process ends after the effect, before the answer.
    CrashAfter,
    /// The call panics with [`InjectedPanic`], without effect.
    Panic,
    /// The call waits, before its effect, until [`FakeAws::resume`].
    Pause,
    /// The effect happens with one byte flipped: of the copy, of the part, or of the body that is read.
    Corrupt,
    /// The call takes this many seconds, for everybody; its effect comes at their end. A process that has a time to live
    /// ([`FakeAws::begin_process`]) and has passed it then is ended before it learns of the effect.
    Delay(u32),
    /// The process stands still for this many seconds while others go on, then makes its call. With `dies` it is ended
    /// after the effect: a request that was on its way when Lambda ended the function. Without, it goes on as if nothing
    /// had been, its time to live notwithstanding.
    Freeze {
        /// How long.
        seconds: u32,
        /// Whether the process is ended after the effect.
        dies: bool,
    },
    /// A message that is sent is stored twice.
    Twice,
}

/// The payload of [`Fault::Panic`].
#[derive(Debug, Clone, Copy)]
pub struct InjectedPanic;

#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    operation: Option<String>,
    key: Option<String>,
    resource: Option<String>,
    principal: Option<String>,
    call: Option<usize>,
    skip: usize,
    times: Option<usize>,
    fault: Option<Fault>,
    fired: usize,
}

impl Rule {
    fn covers(&self, request: &Request, number: usize) -> bool {
        let within =
            |part: &Option<String>, text: &str| part.as_ref().is_none_or(|part| text.contains(part.as_str()));
        self.operation.as_ref().is_none_or(|operation| operation == request.operation)
            && self.call.is_none_or(|call| call == number)
            && within(&self.key, request.key.as_deref().unwrap_or_default())
            && within(&self.resource, &request.resource)
            && within(&self.principal, request.principal.name())
    }
}

/// The script of faults: rules in the order they were given, the first that is due fires.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
    storm: Option<Storm>,
}

/// Faults by chance, replayable from a seed.
#[derive(Debug)]
struct Storm {
    random: Random,
    one_in: u64,
    faults: Vec<Fault>,
}

impl Script {
    pub(crate) fn next(&mut self, request: &Request, number: usize) -> Option<Fault> {
        let mut due = None;
        for rule in &mut self.rules {
            if !rule.covers(request, number) || rule.times.is_some_and(|times| rule.fired >= times) {
                continue;
            }
            // A call at which another rule fires counts as well.
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if due.is_none() {
                rule.fired += 1;
                due = rule.fault;
            }
        }
        if due.is_some() {
            return due;
        }
        let storm = self.storm.as_mut()?;
        if storm.random.below(storm.one_in) != 0 {
            return None;
        }
        let choice = storm.random.below(storm.faults.len() as u64);
        storm.faults.get(usize::try_from(choice).unwrap_or(0)).copied()
    }
}

/// The hand that writes the script. Made by [`FakeAws::faults`].
#[derive(Debug, Clone)]
pub struct Faults(pub(crate) FakeAws);

impl Faults {
    /// A fault at calls of one operation, by AWS's name: `PutObject`, `CopyObject`, `SendMessage`, `AssumeRole`,
    /// `BatchCreatePartition`, `ReadBody` (one chunk of a body). Fires once unless told otherwise.
    pub fn on(&self, operation: &str) -> FaultRule {
        self.rule(Rule { operation: Some(operation.to_owned()), times: Some(1), ..Rule::default() })
    }

    /// A fault at any operation. Fires once unless told otherwise.
    pub fn on_any(&self) -> FaultRule {
        self.rule(Rule { times: Some(1), ..Rule::default() })
    }

    /// A fault at the call with this number, as [`super::Call::number`] counts: for running a test once per call.
    pub fn at_call(&self, number: usize, fault: Fault) {
        self.rule(Rule { call: Some(number), times: Some(1), ..Rule::default() }).inject(fault);
    }

    /// Faults by chance at one call in `one_in`, drawn from `faults`; the same seed gives the same faults.
    pub fn storm(&self, seed: u64, one_in: u64, faults: &[Fault]) {
        let storm = Storm { random: Random::new(seed), one_in: one_in.max(1), faults: faults.to_vec() };
        self.0.lock().script.storm = Some(storm);
    }

    /// Removes every rule and the storm.
    pub fn clear(&self) {
        self.0.lock().script = Script::default();
    }

    /// How often faults of the rules have fired.
    pub fn fired(&self) -> usize {
        self.0.lock().script.rules.iter().map(|rule| rule.fired).sum()
    }

    fn rule(&self, rule: Rule) -> FaultRule {
        FaultRule { fake: self.0.clone(), rule }
    }
}

/// One rule in the making; takes hold with [`FaultRule::inject`].
#[derive(Debug)]
#[must_use]
pub struct FaultRule {
    fake: FakeAws,
    rule: Rule,
}

impl FaultRule {
    /// Only where the key (or the message body, or the partition's values) contains this text.
    pub fn key(mut self, part: &str) -> Self {
        self.rule.key = Some(part.to_owned());
        self
    }

    /// Only where the bucket, queue URL, table or role contains this text.
    pub fn resource(mut self, part: &str) -> Self {
        self.rule.resource = Some(part.to_owned());
        self
    }

    /// Only where the caller's name (a role's ARN, or `landfall`) contains this text.
    pub fn principal(mut self, part: &str) -> Self {
        self.rule.principal = Some(part.to_owned());
        self
    }

    /// Lets this many matching calls pass first.
    pub fn after(mut self, calls: usize) -> Self {
        self.rule.skip = calls;
        self
    }

    /// Fires at this many matching calls.
    pub fn times(mut self, times: usize) -> Self {
        self.rule.times = Some(times);
        self
    }

    /// Fires at every matching call until [`Faults::clear`].
    pub fn forever(mut self) -> Self {
        self.rule.times = None;
        self
    }

    /// Puts the rule into the script.
    pub fn inject(mut self, fault: Fault) {
        self.rule.fault = Some(fault);
        self.fake.lock().script.rules.push(self.rule);
    }
}
