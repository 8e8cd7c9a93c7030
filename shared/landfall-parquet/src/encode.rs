//! Encoding beside reading: the files of a merge, written where they are read or by a thread of their own.
//!
//! What is written must not depend on which of the two it is, nor on how fast the thread is. So whatever decides asks only
//! for sizes that hold at a fixed place of the row stream: those of the last time when both were at the same place
//! ([`Encoder::wait`]), and the weight of the rows sent since.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use arrow_array::RecordBatch;
use landfall_core::partition::Partition;

use crate::files::Files;
use crate::output::{Outbox, OutputEvent};
use crate::route::PartitionId;
use crate::spec::MergeError;
use crate::writer::ReadingOver;

/// Batches that wait for the thread, beside the one it encodes.
const WAITING: usize = 1;

/// How much larger than their weight rows could be taken to become. They never grow at all when they are encoded, by
/// experience; this leaves room for what a format may add.
const GROWTH: u64 = 2;

enum Command {
    Write(PartitionId, Partition, RecordBatch, u64),
    Boundary,
    Finish,
}

/// What the files are after a command.
#[derive(Debug, Default)]
struct State {
    sizes: Vec<(PartitionId, u64)>,
    finished: u32,
    predicted: u64,
}

/// What comes back.
enum Message {
    /// Something was written.
    Output(OutputEvent),
    /// A command is done: what the files are now.
    Done(State, Result<(), MergeError>),
}

fn carry_out(files: &mut Files, command: Command) -> Message {
    let outcome = match command {
        Command::Write(id, values, rows, weight) => files.write(id, &values, &rows, weight),
        Command::Boundary => files.boundary(),
        Command::Finish => files.finish(),
    };
    let state = State {
        sizes: files.sizes().collect(),
        finished: files.finished(),
        predicted: files.predicted_bytes(),
    };
    Message::Done(state, outcome)
}

/// The thread that encodes.
struct Worker {
    /// `None` once no command will follow.
    commands: Option<SyncSender<Command>>,
    /// Commands not done yet.
    open: usize,
    thread: Option<JoinHandle<()>>,
    over: ReadingOver,
}

enum Place {
    Here(Box<Files>),
    Thread(Worker),
}

/// The files of a merge.
pub(crate) struct Encoder {
    /// Never full: the thread need not wait for whoever reads. Dropped before the thread is waited for, so that what nobody
    /// wants any more does not pile up.
    messages: Receiver<Message>,
    place: Place,
    events: Vec<OutputEvent>,
    /// The files when both sides were last at the same place, and the weight of the rows sent since.
    state: State,
    sent: u64,
    /// Commands so far.
    commands: u64,
    /// The newest state, which is looked at only when both sides are at the same place again.
    newest: Option<State>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("state", &self.state).finish_non_exhaustive()
    }
}

fn gone() -> MergeError {
    MergeError::Write { seq: 0, message: "the encoding thread ended".to_owned() }
}

impl Worker {
    fn spawn(mut files: Files, over: ReadingOver, answer: Sender<Message>) -> Result<Self, MergeError> {
        let (commands, wanted) = sync_channel(WAITING);
        let thread = thread::Builder::new()
            .name("encode".to_owned())
            .spawn(move || {
                for command in wanted {
                    if answer.send(carry_out(&mut files, command)).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| MergeError::Spec(format!("no thread to encode with: {error}")))?;
        Ok(Self { commands: Some(commands), open: 0, thread: Some(thread), over })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // Its panic, if it had one, was told as a missing answer.
            drop(thread.join());
        }
    }
}

impl Encoder {
    /// Files as `open` makes them, given where what they write goes; written on the thread that reads, or on one of its own,
    /// which is told through `apart` when reading is over.
    pub(crate) fn new(
        open: impl FnOnce(Outbox) -> Result<Files, MergeError>,
        apart: Option<ReadingOver>,
    ) -> Result<Self, MergeError> {
        let (sender, messages) = channel();
        let output = sender.clone();
        // Nobody wants it any more when nobody receives it.
        let files = open(Arc::new(move |event| drop(output.send(Message::Output(event)))))?;
        let place = match apart {
            Some(over) => Place::Thread(Worker::spawn(files, over, sender)?),
            None => Place::Here(Box::new(files)),
        };
        Ok(Self {
            place,
            messages,
            events: Vec::new(),
            state: State::default(),
            sent: 0,
            commands: 0,
            newest: None,
        })
    }

    /// Appends rows of a weight to the file of a partition.
    pub(crate) fn write(
        &mut self,
        id: PartitionId,
        values: &Partition,
        rows: RecordBatch,
        weight: u64,
    ) -> Result<(), MergeError> {
        self.sent = self.sent.saturating_add(weight);
        self.send(Command::Write(id, values.clone(), rows, weight))
    }

    /// An input ends here: files at or past the target end.
    pub(crate) fn boundary(&mut self) -> Result<(), MergeError> {
        self.send(Command::Boundary)?;
        self.wait()
    }

    /// Begins to end all files.
    pub(crate) fn finish(&mut self) -> Result<(), MergeError> {
        if let Place::Thread(worker) = &self.place {
            worker.over.tell();
        }
        self.send(Command::Finish)
    }

    /// Waits until more is written or all is encoded; whether there may be more to come.
    pub(crate) fn finishing(&mut self) -> Result<bool, MergeError> {
        while self.open() > 0 {
            self.receive()?;
            if !self.events.is_empty() {
                return Ok(true);
            }
        }
        self.wait().map(|()| false)
    }

    /// What waits for the caller, as far as it is written.
    pub(crate) fn take_events(&mut self) -> Vec<OutputEvent> {
        std::mem::take(&mut self.events)
    }

    /// How much waits for the caller so far.
    pub(crate) fn waiting(&self) -> usize {
        self.events.len()
    }

    /// Waits until all rows sent are encoded: what is asked below then holds exactly.
    pub(crate) fn wait(&mut self) -> Result<(), MergeError> {
        while self.open() > 0 {
            self.receive()?;
        }
        self.sent = 0;
        if let Some(newest) = self.newest.take() {
            self.state = newest;
        }
        Ok(())
    }

    /// Whether a file could have `bytes` by now, `more` of them to come.
    pub(crate) fn could_reach(&self, bytes: u64, more: u64, together: bool) -> bool {
        let sizes = self.state.sizes.iter().map(|(_, size)| *size);
        let known = if together { sizes.sum() } else { sizes.max().unwrap_or(0) };
        self.sent.saturating_mul(GROWTH).saturating_add(known).saturating_add(more) >= bytes
    }

    /// How many files were finished when both sides last were at the same place.
    pub(crate) fn finished(&self) -> u32 {
        self.state.finished
    }

    /// Whether no file was open then, and no row was sent since.
    pub(crate) fn none_open(&self) -> bool {
        self.state.sizes.is_empty() && self.sent == 0
    }

    /// The size of all files then, the open ones estimated.
    pub(crate) fn predicted_bytes(&self) -> u64 {
        self.state.predicted
    }

    /// Partition and size of each file that was open then.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (PartitionId, u64)> {
        self.state.sizes.iter().copied()
    }

    /// How many commands were given so far.
    pub(crate) fn commands(&self) -> u64 {
        self.commands
    }

    /// How many of them are done by now. Nothing that is written may depend on it.
    pub(crate) fn done(&mut self) -> Result<u64, MergeError> {
        self.look()?;
        Ok(self.commands.saturating_sub(self.open() as u64))
    }

    /// Commands not done yet.
    fn open(&self) -> usize {
        match &self.place {
            Place::Here(_) => 0,
            Place::Thread(worker) => worker.open,
        }
    }

    fn send(&mut self, command: Command) -> Result<(), MergeError> {
        self.commands += 1;
        match &mut self.place {
            Place::Here(files) => {
                let done = carry_out(files, command);
                self.take(done)?;
            }
            Place::Thread(worker) => {
                worker.commands.as_ref().and_then(|commands| commands.send(command).ok()).ok_or_else(gone)?;
                worker.open += 1;
            }
        }
        self.look()
    }

    /// Takes what has come back.
    fn look(&mut self) -> Result<(), MergeError> {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), MergeError> {
        let message = self.messages.recv().map_err(|_| gone())?;
        self.take(message)
    }

    fn take(&mut self, message: Message) -> Result<(), MergeError> {
        match message {
            Message::Output(event) => {
                self.events.push(event);
                Ok(())
            }
            Message::Done(state, outcome) => {
                if let Place::Thread(worker) = &mut self.place {
                    worker.open = worker.open.saturating_sub(1);
                }
                self.newest = Some(state);
                outcome
            }
        }
    }
}
