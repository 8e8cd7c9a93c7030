//! What values of one place were like: all kinds of value that were seen there, joined without regard to their order.

use std::collections::HashMap;

use landfall_core::data_type::{MOST_DIGITS, TimeUnit};

use super::typed::Typed;
use crate::fault::Checked;
use crate::json::Cursor;
use crate::json::text::unescape;
use crate::{number, time};

/// An object with more different keys than this, over all records, has keys that are data.
pub(super) const MOST_MEMBERS: usize = 2_000;
/// An object with a longer key has keys that are data.
pub(super) const LONGEST_KEY: usize = 255;
/// How many different places below the records' own members are told apart; further keys of an object make data of its keys. A line
/// of 64 MiB can hold millions of keys, each a place, under each other. Beyond it the order of records matters.
const MOST_PLACES: usize = 100_000;

/// How many places may still be told apart.
#[derive(Debug)]
pub(super) struct Places(usize);

impl Default for Places {
    fn default() -> Self {
        Self(MOST_PLACES)
    }
}

/// All values seen at one place.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) values: u64,
    pub(super) nulls: u64,
    pub(super) bools: bool,
    pub(super) numbers: Option<Numbers>,
    pub(super) texts: Option<Texts>,
    pub(super) lists: Option<Box<Shape>>,
    pub(super) objects: Option<Box<Objects>>,
    pub(super) typed: Typed,
}

/// All numbers seen at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Every one is an integer literal that fits `int64`, or `uint64`.
    pub(super) int64: bool,
    pub(super) uint64: bool,
    /// Every one enters a float column as itself.
    pub(super) float64: bool,
    /// The most digits before and after the decimal point.
    pub(super) whole: i64,
    pub(super) fraction: i64,
    /// How far those reach that a wider column may hold.
    pub(super) reach: Reach,
}

/// How wide a type must be for the numbers that some type of its kind holds; the others count for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// The bits of signed and of unsigned integers.
    pub(super) signed: u8,
    pub(super) unsigned: u8,
    /// Whether one enters `float64` and not `float32`.
    pub(super) double: bool,
    /// The most digits before the decimal point of those that have at most [`MOST_DIGITS`].
    pub(super) whole: i64,
}

impl Reach {
    fn of(literal: &[u8], integer: bool, whole: i64, float64: bool) -> Self {
        let bits = |fits: &dyn Fn(u8) -> bool| {
            if integer { [8, 16, 32, 64].into_iter().find(|bits| fits(*bits)).unwrap_or(0) } else { 0 }
        };
        Self {
            signed: bits(&|bits| number::signed(literal, bits).is_ok()),
            unsigned: bits(&|bits| number::unsigned(literal, bits).is_ok()),
            double: float64 && number::float32(literal, integer).is_err(),
            whole: if whole <= i64::from(MOST_DIGITS) { whole } else { 0 },
        }
    }

    fn join(self, other: Self) -> Self {
        Self {
            signed: self.signed.max(other.signed),
            unsigned: self.unsigned.max(other.unsigned),
            double: self.double || other.double,
            whole: self.whole.max(other.whole),
        }
    }
}

/// The kinds of value in JSON, but for null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Number,
    Text,
    List,
    Object,
}

/// The coarsest unit that holds every text of one place as a time, the coarser first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fineness {
    /// Every one is a time that milliseconds hold.
    Millis,
    /// Every one is a time that microseconds hold.
    Micros,
    /// One is no such time.
    None,
}

impl Fineness {
    fn of(holds: impl Fn(TimeUnit) -> bool) -> Self {
        match (holds(TimeUnit::Micros), holds(TimeUnit::Millis)) {
            (_, true) => Self::Millis,
            (true, false) => Self::Micros,
            (false, false) => Self::None,
        }
    }

    /// The unit told, or the one that is fine enough.
    pub(super) fn unit(self, told: TimeUnit) -> Option<TimeUnit> {
        match self {
            Self::Millis => Some(told),
            Self::Micros => Some(TimeUnit::Micros),
            Self::None => None,
        }
    }
}

/// All texts seen at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Texts {
    /// Times with an offset (RFC 3339).
    pub(super) instants: Fineness,
    /// Times of day.
    pub(super) times: Fineness,
    /// Every one is a calendar day.
    pub(super) dates: bool,
}

/// All objects seen at one place.
#[derive(Debug, Clone, Default)]
pub(super) struct Objects {
    /// How many.
    pub(super) count: u64,
    /// Their members, in the order in which they were first seen.
    pub(super) members: Vec<(String, Shape)>,
    /// Where each member is. Only looked up, never walked.
    places: HashMap<String, usize>,
    /// Set when there were too many different keys: what all their values are like.
    pub(super) map: Option<Shape>,
    /// Whether these are the records themselves, whose first keys stay members: there is no map to be made of a record.
    of_records: bool,
    /// Takes the values of keys of records beyond those: nobody asks what they are like.
    rest: Option<Box<Shape>>,
    /// How often there were such keys: too long, or too many.
    pub(super) too_long: u64,
    pub(super) too_many: u64,
}

impl Shape {
    /// No record seen yet, of which these members are told apart whatever else comes.
    pub(super) fn of_records(members: &[String]) -> Self {
        let mut objects = Objects { of_records: true, ..Objects::default() };
        for member in members {
            objects.member(member.clone(), &mut Places::default());
        }
        Self { objects: Some(Box::new(objects)), ..Self::default() }
    }

    /// Whether a value of it is other than null, or a type is told: null says of a member what its absence says.
    pub(super) fn says_something(&self) -> bool {
        self.values > self.nulls || self.typed.told().is_some()
    }

    /// The kinds of value seen.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        [
            (self.bools, Kind::Bool),
            (self.numbers.is_some(), Kind::Number),
            (self.texts.is_some(), Kind::Text),
            (self.lists.is_some(), Kind::List),
            (self.objects.is_some(), Kind::Object),
        ]
        .into_iter()
        .filter_map(|(seen, kind)| seen.then_some(kind))
    }

    /// How many objects were seen.
    pub(super) fn objects(&self) -> u64 {
        self.objects.as_ref().map_or(0, |objects| objects.count)
    }

    /// Looks at the next value, which was checked before.
    pub(super) fn see(&mut self, cursor: &mut Cursor<'_>, places: &mut Places) -> Checked<()> {
        self.values += 1;
        match cursor.peek() {
            Some(b'n') => {
                self.nulls += 1;
                cursor.literal("null")
            }
            Some(b't') => {
                self.bools = true;
                cursor.literal("true")
            }
            Some(b'f') => {
                self.bools = true;
                cursor.literal("false")
            }
            Some(b'"') => {
                let text = cursor.string()?;
                let mut bytes = Vec::new();
                unescape(cursor.slice(text.start, text.end), &mut bytes);
                let seen = Texts::of(&bytes);
                self.texts = Some(self.texts.map_or(seen, |texts| texts.join(seen)));
                Ok(())
            }
            Some(b'[') => {
                let item = self.lists.get_or_insert_default();
                cursor.enter()?;
                cursor.space();
                if cursor.accept(b']') {
                    cursor.leave();
                    return Ok(());
                }
                loop {
                    item.see(cursor, places)?;
                    if !cursor.another(b']', "expected `,` or `]`")? {
                        return Ok(());
                    }
                }
            }
            Some(b'{') => self.objects.get_or_insert_default().see(cursor, places),
            _ => {
                let number = cursor.number()?;
                let seen = Numbers::of(cursor.slice(number.start, number.end), number.integer);
                self.numbers = Some(self.numbers.map_or(seen, |numbers| numbers.join(seen)));
                Ok(())
            }
        }
    }

    /// Takes what another place has seen as seen here.
    pub(super) fn join(&mut self, other: Self, places: &mut Places) {
        self.values += other.values;
        self.nulls += other.nulls;
        self.typed.join(other.typed);
        self.bools |= other.bools;
        if let Some(seen) = other.numbers {
            self.numbers = Some(self.numbers.map_or(seen, |numbers| numbers.join(seen)));
        }
        if let Some(seen) = other.texts {
            self.texts = Some(self.texts.map_or(seen, |texts| texts.join(seen)));
        }
        if let Some(seen) = other.lists {
            self.lists.get_or_insert_default().join(*seen, places);
        }
        if let Some(seen) = other.objects {
            self.objects.get_or_insert_default().join(*seen, places);
        }
    }
}

impl Numbers {
    fn of(literal: &[u8], integer: bool) -> Self {
        let (whole, fraction) = number::digits(literal);
        let float64 = number::float64(literal, integer).is_ok();
        let reach = Reach::of(literal, integer, whole, float64);
        Self { int64: reach.signed > 0, uint64: reach.unsigned > 0, float64, whole, fraction, reach }
    }

    fn join(self, other: Self) -> Self {
        Self {
            int64: self.int64 && other.int64,
            uint64: self.uint64 && other.uint64,
            float64: self.float64 && other.float64,
            whole: self.whole.max(other.whole),
            fraction: self.fraction.max(other.fraction),
            reach: self.reach.join(other.reach),
        }
    }
}

impl Texts {
    fn of(text: &[u8]) -> Self {
        Self {
            instants: Fineness::of(|unit| time::timestamp(text, unit, true).is_ok()),
            times: Fineness::of(|unit| time::time_of_day(text, unit).is_ok()),
            dates: time::date(text).is_ok(),
        }
    }

    fn join(self, other: Self) -> Self {
        Self {
            instants: self.instants.max(other.instants),
            times: self.times.max(other.times),
            dates: self.dates && other.dates,
        }
    }
}

impl Objects {
    fn see(&mut self, cursor: &mut Cursor<'_>, places: &mut Places) -> Checked<()> {
        self.count += 1;
        cursor.enter()?;
        cursor.space();
        if cursor.accept(b'}') {
            cursor.leave();
            return Ok(());
        }
        loop {
            let key = cursor.string()?;
            let mut bytes = Vec::new();
            unescape(cursor.slice(key.start, key.end), &mut bytes);
            cursor.space();
            cursor.expect(b':', "expected `:`")?;
            cursor.space();
            self.member(String::from_utf8_lossy(&bytes).into_owned(), places).see(cursor, places)?;
            if !cursor.another(b'}', "expected `,` or `}`")? {
                return Ok(());
            }
        }
    }

    /// The shape of a member.
    pub(super) fn member(&mut self, key: String, places: &mut Places) -> &mut Shape {
        if self.map.is_none() && !self.places.contains_key(&key) {
            let (long, many) = (key.len() > LONGEST_KEY, self.members.len() >= MOST_MEMBERS);
            if !self.of_records {
                if long || many || places.0 == 0 {
                    self.map = Some(self.joined_members(places));
                    (self.members, self.places) = (Vec::new(), HashMap::new());
                }
                places.0 = places.0.saturating_sub(1);
            } else if long || many {
                let count = if long { &mut self.too_long } else { &mut self.too_many };
                *count += 1;
                return self.rest.get_or_insert_default();
            }
        }
        if self.map.is_some() {
            return self.map.get_or_insert_default();
        }
        let next = self.members.len();
        let place = *self.places.entry(key.clone()).or_insert(next);
        if place == next {
            self.members.push((key, Shape::default()));
        }
        match self.members.get_mut(place) {
            Some((_, shape)) => shape,
            // Never: every place is one of the list.
            None => self.map.get_or_insert_default(),
        }
    }

    /// What all members together were like; they are taken out.
    fn joined_members(&mut self, places: &mut Places) -> Shape {
        let mut joined = Shape::default();
        for (_, shape) in self.members.drain(..) {
            joined.join(shape, places);
        }
        joined
    }

    fn join(&mut self, other: Self, places: &mut Places) {
        self.count += other.count;
        for (key, shape) in other.members {
            self.member(key, places).join(shape, places);
        }
        self.too_long += other.too_long;
        self.too_many += other.too_many;
        if let Some(seen) = other.map {
            let joined = self.joined_members(places);
            self.places.clear();
            let map = self.map.get_or_insert_default();
            map.join(joined, places);
            map.join(seen, places);
        }
    }
}
