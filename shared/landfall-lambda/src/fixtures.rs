//! What the tests of this crate share.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use landfall_core::port::Clock;
use proptest::prelude::*;
use serde_json::Value;

use crate::deadline::{Deadline, Invocation};
use crate::metrics::MetricsRecorder;

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Debug, Clone)]
pub(crate) struct FixedClock(Arc<Mutex<Timestamp>>);

impl FixedClock {
    pub(crate) fn at(time: &str) -> Self {
        Self(Arc::new(Mutex::new(time.parse().unwrap())))
    }

    pub(crate) fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }

    pub(crate) fn pass(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    /// An invocation that ends after `seconds`.
    pub(crate) fn invocation(&self, seconds: u32) -> Invocation {
        let end = self.now().as_millisecond() + i64::from(seconds) * 1_000;
        Invocation {
            request_id: "request-1".to_owned(),
            function_arn: "arn:aws:lambda:eu-central-1:111122223333:function:landfall-compactor".to_owned(),
            deadline: Deadline::new(u64::try_from(end).unwrap(), self.shared()),
            metrics: MetricsRecorder::default(),
        }
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A file of `events/`.
macro_rules! event {
    ($path:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!("../../../events/", $path))).unwrap()
    };
}
pub(crate) use event;

/// JSON whose member names are often those our readers look for.
pub(crate) fn arbitrary_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "Records",
            "messageId",
            "body",
            "attributes",
            "ApproximateReceiveCount",
            "MessageGroupId",
            "SentTimestamp",
            "eventVersion",
            "eventName",
            "s3",
            "bucket",
            "object",
            "name",
            "key",
            "size",
            "Type",
            "Message",
            "Event",
            "source",
            "detail-type",
            "detail",
            "v",
            "kind",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let text = prop_oneof![
        prop::sample::select(vec![
            "2.1",
            "3.0",
            "ObjectCreated:Put",
            "ObjectRemoved:Delete",
            "Notification",
            "s3:TestEvent",
            "aws.s3",
            "Object Created",
            "Scheduled Event",
            "a+b%2",
            "%FF",
            "{}",
            "[",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
