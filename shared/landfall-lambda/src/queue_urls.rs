//! From the ARN of an event source to the URL its visibility is changed at.

/// The URLs of the queues a function listens on.
///
/// `arn:aws:sqs:eu-central-1:123456789012:landfall-plan.fifo` is the queue whose URL ends in
/// `/123456789012/landfall-plan.fifo`, whatever its host: no second table to configure.
#[derive(Debug, Clone, Default)]
pub struct QueueUrls(Vec<String>);

impl QueueUrls {
    /// Takes the URLs as configured.
    pub fn new(urls: impl IntoIterator<Item = String>) -> Self {
        Self(urls.into_iter().collect())
    }

    /// The URL of the queue with this ARN; `None` when it is not one of ours.
    pub fn of_arn(&self, arn: &str) -> Option<&str> {
        let mut parts = arn.split(':').skip(4);
        let (account, name) = (parts.next()?, parts.next()?);
        if account.is_empty() || name.is_empty() {
            return None;
        }
        let is_this = |url: &str| {
            let mut segments = url.rsplit('/');
            segments.next() == Some(name) && segments.next() == Some(account)
        };
        self.0.iter().map(String::as_str).find(|url| is_this(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_found_by_account_and_name() {
        let urls = QueueUrls::new([
            "https://sqs.eu-central-1.amazonaws.com/111122223333/landfall-plan.fifo".to_owned(),
            "http://127.0.0.1:4566/111122223333/landfall-work".to_owned(),
        ]);
        let cases = [
            (
                "arn:aws:sqs:eu-central-1:111122223333:landfall-work",
                Some("http://127.0.0.1:4566/111122223333/landfall-work"),
            ),
            (
                "arn:aws:sqs:eu-central-1:111122223333:landfall-plan.fifo",
                Some("https://sqs.eu-central-1.amazonaws.com/111122223333/landfall-plan.fifo"),
            ),
            ("arn:aws:sqs:eu-central-1:999922223333:landfall-work", None),
            ("arn:aws:sqs:eu-central-1:111122223333:work", None),
            ("arn:aws:sqs:eu-central-1::", None),
            ("landfall-work", None),
            ("", None),
        ];
        for (arn, expected) in cases {
            assert_eq!(urls.of_arn(arn), expected, "{arn}");
        }
    }
}
