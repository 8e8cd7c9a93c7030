//! Progress: a bar on a terminal, now and then a line elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::screen::{Screen, grouped};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Progress of one phase.
#[derive(Debug)]
pub(crate) struct Progress<'s> {
    screen: &'s Screen,
    name: &'static str,
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    said: Instant,
}

impl<'s> Progress<'s> {
    /// A phase of `total` steps; of bytes when `bytes`.
    pub(crate) fn new(screen: &'s Screen, name: &'static str, total: u64, bytes: bool) -> Self {
        let bar = screen.is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template = if bytes {
                "{prefix:<9} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}"
            } else {
                "{prefix:<9} [{bar:30}] {human_pos}/{human_len} {wide_msg}"
            };
            // A template that does not parse costs the looks only.
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(name);
            bar
        });
        Self { screen, name, bar, total, done: 0, said: Instant::now() }
    }

    /// So many steps more.
    pub(crate) fn add(&mut self, steps: u64) {
        self.done += steps;
        match &self.bar {
            Some(bar) => bar.inc(steps),
            None if self.said.elapsed() >= LINE_EVERY => {
                self.say(&format!("{} of {}", grouped(self.done), grouped(self.total)));
            }
            None => {}
        }
    }

    /// What is going on now.
    pub(crate) fn message(&mut self, done: u64, text: &str) {
        let changed = done != self.done;
        self.done = done;
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(text.to_owned());
            }
            None if !text.is_empty() && (changed || self.said.elapsed() >= LINE_EVERY) => self.say(text),
            None => {}
        }
    }

    fn say(&mut self, text: &str) {
        self.screen.note(format_args!("{}: {text}", self.name));
        self.said = Instant::now();
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
