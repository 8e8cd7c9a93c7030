//! Logs: JSON lines on standard output, one outcome line per message.
//!
//! A line is one flat object: `timestamp`, `level`, `target`, `message`, the fields of the spans around it (first of
//! all `request_id`) and its own. Every text on it passes through [`shown`]: whatever a key, a body or an error of a
//! service holds, it can neither begin a line of its own nor act on a terminal, and it is cut.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use landfall_core::error::chain;
use landfall_core::port::Clock;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::batch::Receipt;
use crate::deadline::SystemClock;
use crate::env::{Env, LOG_FILTER};
use crate::shown::shown;
use crate::verdict::{Disposition, Verdict};

/// Starts logging, and sends panics to the log. `RUST_LOG` chooses what is logged; `info` when it is not set or not
/// a filter.
pub fn init(env: &Env) {
    let wanted = env.get(LOG_FILTER.name).filter(|filter| !filter.is_empty());
    let filter = wanted.map(EnvFilter::try_new);
    let refused = matches!(filter, Some(Err(_)));
    let filter = filter.and_then(Result::ok).unwrap_or_else(|| EnvFilter::new("info"));
    let subscriber = Registry::default().with(filter).with(JsonLines::new(SystemClock, io::stdout()));
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        // A second start changes nothing.
        return;
    }
    // The default hook prints the text of a panic as it is, over several lines.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, text = panic.payload_as_str().unwrap_or("without a text"), "panicked");
    }));
    if refused {
        tracing::warn!(filter = wanted, "RUST_LOG is no log filter; info is logged");
    }
}

/// Writes the outcome line of a message: at `warn` when it comes back, else at `info`.
pub fn outcome(receipt: &Receipt, verdict: &Verdict, duration: Duration) {
    let counts: Map<String, Value> =
        verdict.counts.iter().map(|(name, number)| ((*name).to_owned(), (*number).into())).collect();
    let counts = (!counts.is_empty()).then(|| Value::Object(counts).to_string());
    macro_rules! line {
        ($level:ident, $disposition:literal, $class:expr, $reason:expr) => {
            tracing::$level!(
                message_id = receipt.id.as_str(),
                receive_count = receipt.receive_count,
                kind = verdict.kind,
                outcome = verdict.outcome,
                disposition = $disposition,
                delivery = verdict.delivery,
                n = verdict.n,
                class = $class,
                reason = $reason,
                detail = verdict.detail,
                counts,
                duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                "message outcome"
            )
        };
    }
    match &verdict.disposition {
        Disposition::Done => line!(info, "done", None::<&str>, None::<&str>),
        Disposition::Retry { class, reason, .. } => line!(warn, "returned", class.as_str(), reason),
    }
}

/// The field whose text is JSON of our own making, embedded as it is.
const COUNTS: &str = "counts";

/// A layer that writes each event as one line of JSON.
pub struct JsonLines<C, W> {
    clock: C,
    out: Mutex<W>,
}

impl<C, W> fmt::Debug for JsonLines<C, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}

impl<C: Clock, W: Write> JsonLines<C, W> {
    /// Writes to `out`, with times of `clock`.
    pub fn new(clock: C, out: W) -> Self {
        Self { clock, out: Mutex::new(out) }
    }
}

impl<S, C, W> Layer<S> for JsonLines<C, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock + 'static,
    W: Write + Send + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields::default();
        for span in
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.0.extend(fields.0.clone());
            }
        }
        event.record(&mut line);
        // Last, so that no field passes for them.
        let now = self.clock.now();
        let metadata = event.metadata();
        let fixed = [
            ("timestamp", format!("{now:.3}")),
            ("level", metadata.level().to_string()),
            ("target", metadata.target().to_owned()),
        ];
        line.0.extend(fixed.map(|(name, text)| (name.to_owned(), text.into())));
        let mut text = Value::Object(line.0).to_string();
        text.push('\n');
        // One write a line: lines of other writers to the same stream stay whole. A log that cannot be written
        // must not end the work.
        let written = self.out.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes());
        drop(written);
    }
}

/// The fields of a span or an event.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn text(&mut self, field: &Field, text: &str) {
        self.set(field, shown(text).into_owned());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match serde_json::from_str::<Map<String, Value>>(value) {
            Ok(counts) if field.name() == COUNTS && counts.values().all(Value::is_u64) => {
                self.set(field, counts);
            }
            _ => self.text(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &chain(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
