//! Whole values that no column reads, and the keys of their objects: RFC 8259 leaves open what a key that stands twice
//! means, so it is found at every depth.

use std::ops::Range;

use super::scan::{Cursor, Text};
use super::text::unescape;
use crate::fault::{Checked, Fault, ViolationCode};
use crate::limits;

/// Up to this many keys of an object are compared one by one; more are sorted.
const FEW: usize = 12;

/// What an open key costs: itself, and its place while keys are sorted.
const KEY_BYTES: u64 = 48;

/// What a repeated member costs.
const REPEATED_BYTES: u64 = 16;

/// Keys and bytes of keys whose memory is kept from one line to the next; a line with more gives it back.
const KEPT_KEYS: usize = 16 * 1024;
const KEPT_BYTES: usize = 1024 * 1024;

/// One key of an object that is still open.
#[derive(Debug)]
struct Key {
    /// Where the member begins.
    at: usize,
    /// Where its comma stands; 0 as long as none was seen.
    comma: usize,
    /// The unescaped bytes: in the line, or in the arena when the key had escapes.
    start: usize,
    end: usize,
    in_arena: bool,
}

/// The keys of all objects that are open at a place in the line. Kept between lines for its memory.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    open: Vec<Key>,
    arena: Vec<u8>,
    order: Vec<usize>,
    /// What the record may still cost in memory, its keys among it.
    budget: u64,
    /// When set, repeated members are gathered here instead of being faults.
    repeated: Option<Vec<Range<usize>>>,
}

/// Where the keys of one object begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    keys: usize,
    arena: usize,
}

impl Keys {
    /// Begins a record: forgets everything, as a fault leaves open objects behind.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.arena.clear();
        self.open.shrink_to(KEPT_KEYS);
        self.order.clear();
        self.order.shrink_to(KEPT_KEYS);
        self.arena.shrink_to(KEPT_BYTES);
        self.budget = limits::ROW_WEIGHT;
    }

    /// What the record has cost so far, its closed objects' keys given back.
    pub(crate) fn spent(&self) -> u64 {
        limits::ROW_WEIGHT.saturating_sub(self.budget)
    }

    /// Takes memory for the record.
    #[inline]
    pub(crate) fn spend(&mut self, bytes: u64, at: usize) -> Checked<()> {
        match self.budget.checked_sub(bytes) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => Err(Fault::new(ViolationCode::RowTooLarge, at, "the record takes too much memory")),
        }
    }

    /// Begins an object.
    pub(crate) fn begin(&self) -> Mark {
        Mark { keys: self.open.len(), arena: self.arena.len() }
    }

    /// Forgets the keys of objects that were begun after `mark` and not ended.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.open.truncate(mark.keys);
        self.arena.truncate(mark.arena);
    }

    /// Notes a key of the innermost object.
    pub(crate) fn add(&mut self, cursor: &Cursor<'_>, key: Text) -> Checked<()> {
        let at = key.start.saturating_sub(1);
        self.spend(KEY_BYTES, at)?;
        let (start, end) = if key.escaped {
            let start = self.arena.len();
            unescape(cursor.slice(key.start, key.end), &mut self.arena);
            (start, self.arena.len())
        } else {
            (key.start, key.end)
        };
        self.open.push(Key { at, comma: 0, start, end, in_arena: key.escaped });
        Ok(())
    }

    fn comma(&mut self, at: usize) {
        if let Some(key) = self.open.last_mut() {
            key.comma = at;
        }
    }

    fn bytes<'a>(&'a self, cursor: &Cursor<'a>, key: &Key) -> &'a [u8] {
        if key.in_arena {
            self.arena.get(key.start..key.end).unwrap_or_default()
        } else {
            cursor.slice(key.start, key.end)
        }
    }

    /// Ends the object that began at `mark`.
    pub(crate) fn end(&mut self, cursor: &Cursor<'_>, mark: Mark) -> Checked<()> {
        let count = self.open.len().saturating_sub(mark.keys);
        if count > 1 {
            if self.repeated.is_some() {
                self.gather(cursor, mark)?;
            } else if let Some(at) = self.first_repeated(cursor, mark) {
                return Err(Fault::new(ViolationCode::DuplicateKey, at, "a key stands twice in an object"));
            }
        }
        self.open.truncate(mark.keys);
        self.arena.truncate(mark.arena);
        self.budget = self.budget.saturating_add(KEY_BYTES.saturating_mul(count as u64));
        Ok(())
    }

    /// Where the first key stands that was there before.
    fn first_repeated(&mut self, cursor: &Cursor<'_>, mark: Mark) -> Option<usize> {
        let keys = self.open.get(mark.keys..)?;
        if keys.len() <= FEW {
            return keys.iter().enumerate().find_map(|(index, key)| {
                let bytes = self.bytes(cursor, key);
                let mut earlier = keys.iter().take(index);
                earlier.any(|other| self.bytes(cursor, other) == bytes).then_some(key.at)
            });
        }
        let order = self.sorted(cursor, mark);
        let at = order
            .windows(2)
            .filter_map(|pair| match pair {
                [left, right] => Some((self.open.get(*left)?, self.open.get(*right)?)),
                _ => None,
            })
            .filter(|(left, right)| self.bytes(cursor, left) == self.bytes(cursor, right))
            .map(|(_, right)| right.at)
            .min();
        self.order = order;
        at
    }

    /// Notes every member whose key comes again later, up to and with its comma.
    fn gather(&mut self, cursor: &Cursor<'_>, mark: Mark) -> Checked<()> {
        let order = self.sorted(cursor, mark);
        let mut found: Vec<Range<usize>> = Vec::new();
        for pair in order.windows(2) {
            let [left, right] = pair else { continue };
            let (Some(left), Some(right)) = (self.open.get(*left), self.open.get(*right)) else { continue };
            if self.bytes(cursor, left) == self.bytes(cursor, right) {
                found.push(left.at..left.comma + 1);
            }
        }
        self.order = order;
        let at = found.first().map_or(0, |member| member.start);
        self.spend(REPEATED_BYTES.saturating_mul(found.len() as u64), at)?;
        if let Some(repeated) = &mut self.repeated {
            repeated.append(&mut found);
        }
        Ok(())
    }

    /// The keys since `mark`, by bytes, then by place.
    fn sorted(&mut self, cursor: &Cursor<'_>, mark: Mark) -> Vec<usize> {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(mark.keys..self.open.len());
        order.sort_unstable_by(|left, right| match (self.open.get(*left), self.open.get(*right)) {
            (Some(a), Some(b)) => self.bytes(cursor, a).cmp(self.bytes(cursor, b)).then(a.at.cmp(&b.at)),
            _ => left.cmp(right),
        });
        order
    }
}

/// Skips one value, checking all of it.
pub(crate) fn skip_value(cursor: &mut Cursor<'_>, keys: &mut Keys) -> Checked<()> {
    match cursor.peek() {
        Some(b'"') => cursor.string().map(drop),
        Some(b'-' | b'0'..=b'9') => cursor.number().map(drop),
        Some(b't') => cursor.literal("true"),
        Some(b'f') => cursor.literal("false"),
        Some(b'n') => cursor.literal("null"),
        Some(b'[') => {
            cursor.enter()?;
            cursor.space();
            if cursor.accept(b']') {
                cursor.leave();
                return Ok(());
            }
            loop {
                skip_value(cursor, keys)?;
                if !cursor.another(b']', "expected `,` or `]`")? {
                    return Ok(());
                }
            }
        }
        Some(b'{') => {
            cursor.enter()?;
            cursor.space();
            if cursor.accept(b'}') {
                cursor.leave();
                return Ok(());
            }
            let mark = keys.begin();
            loop {
                let key = cursor.string()?;
                keys.add(cursor, key)?;
                cursor.space();
                cursor.expect(b':', "expected `:`")?;
                cursor.space();
                skip_value(cursor, keys)?;
                cursor.space();
                keys.comma(cursor.at);
                if !cursor.another(b'}', "expected `,` or `}`")? {
                    return keys.end(cursor, mark);
                }
            }
        }
        _ => Err(cursor.invalid("expected a JSON value")),
    }
}

/// Checks that a line is one JSON value; keys that stand twice are faults.
pub(crate) fn check(line: &[u8], keys: &mut Keys) -> Checked<()> {
    keys.clear();
    let mut cursor = Cursor::new(line);
    cursor.space();
    skip_value(&mut cursor, keys)?;
    cursor.end()
}

/// A copy of the line in which every member whose key comes again later in its object is blanked, so that the last one
/// counts and every offset stays. `None` when there is no such member.
pub(crate) fn blank_duplicates(line: &[u8]) -> Checked<Option<Vec<u8>>> {
    let mut keys = Keys { repeated: Some(Vec::new()), ..Keys::default() };
    check(line, &mut keys)?;
    let repeated = keys.repeated.unwrap_or_default();
    if repeated.is_empty() {
        return Ok(None);
    }
    let mut copy = line.to_vec();
    for range in repeated {
        if let Some(member) = copy.get_mut(range) {
            member.fill(b' ');
        }
    }
    Ok(Some(copy))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn check(line: &str, expected: Result<(), (ViolationCode, usize)>) {
        let found =
            super::check(line.as_bytes(), &mut Keys::default()).map_err(|fault| (fault.code, fault.at));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn documents_are_checked_whole() {
        for line in [
            "{}",
            " [ ] ",
            "\t{\"a\" : [1 , -0.5e+10,null,true,false, {\"b\":\"\\u00e9\\\\\"}]}\r",
            "\"\u{7f}\"",
            "-0",
            "[0,0.0,1E5,10]",
            "{\"a\":{\"a\":{\"a\":1}}, \"b\":[{\"a\":1},{\"a\":2}]}",
        ] {
            check(line, Ok(()));
        }
        let invalid = |at| Err((ViolationCode::InvalidJson, at));
        check("", invalid(0));
        check("[1,]", invalid(3));
        check("[1 2]", invalid(3));
        check("{\"a\":1,}", invalid(7));
        check("{\"a\" 1}", invalid(5));
        check("{a:1}", invalid(1));
        check("[01]", invalid(2));
        check("[1.]", invalid(3));
        check("[.5]", invalid(1));
        check("[+1]", invalid(1));
        check("[1e]", invalid(3));
        check("[-]", invalid(2));
        check("[NaN]", invalid(1));
        check("[nul]", invalid(1));
        check("[truer]", invalid(5));
        check("\"a\u{1}\"", invalid(2));
        check("\"a", invalid(2));
        check(r#""\x""#, invalid(2));
        check(r#""\u12g4""#, invalid(5));
        check(r#""\ud800""#, invalid(1));
        check(r#""\ud800\u0041""#, invalid(1));
        check(r#""ab\udc00""#, invalid(3));
        check("{} {}", invalid(3));
        check("[\"a\"\u{0}]", invalid(4));
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        check(&nested(crate::limits::DEPTH), Ok(()));
        check(&nested(crate::limits::DEPTH + 1), Err((ViolationCode::TooDeep, crate::limits::DEPTH)));
        check(&"[{\"a\":".repeat(500_000), Err((ViolationCode::TooDeep, 384)));
    }

    #[test]
    fn a_key_that_stands_twice_is_found_at_any_depth() {
        let twice = |at| Err((ViolationCode::DuplicateKey, at));
        check(r#"{"a":1,"a":2}"#, twice(7));
        check(r#"{"a":1,"\u0061":2}"#, twice(7));
        check(r#"[[{"x":{"k":1,"l":2,"k":3}}]]"#, twice(20));
        check(r#"{"a":1,"A":2,"a ":3,"":4}"#, Ok(()));
        let many: Vec<String> = (0..10_000).map(|n| format!("\"k{n}\":{n}")).collect();
        check(&format!("{{{}}}", many.join(",")), Ok(()));
        let line = format!("{{{},\"k77\":1,\"k3\":1}}", many.join(","));
        check(&line, twice(line.find("\"k77\":1,").unwrap()));
    }

    #[test]
    fn keys_have_their_share_of_the_memory_of_a_record() {
        let most = usize::try_from(limits::ROW_WEIGHT / KEY_BYTES).unwrap();
        let object = |keys: usize| {
            let mut line = String::from("{");
            for n in 0..keys {
                write!(line, "\"{n:x}\":0,").unwrap();
            }
            line.pop();
            line + "}"
        };
        let (fits, exceeds) = (object(most), object(most + 1));
        let mut keys = Keys::default();
        assert_eq!(super::check(fits.as_bytes(), &mut keys), Ok(()));
        assert_eq!(keys.spent(), 0, "closed objects hold no key");
        assert!(keys.open.capacity() >= most);
        let refused = super::check(exceeds.as_bytes(), &mut keys).map_err(|fault| fault.code);
        assert_eq!(refused, Err(ViolationCode::RowTooLarge));
        let refused = blank_duplicates(exceeds.as_bytes()).map_err(|fault| fault.code);
        assert_eq!(refused, Err(ViolationCode::RowTooLarge));
        assert_eq!(super::check(b"{}", &mut keys), Ok(()));
        assert!(keys.open.capacity() <= KEPT_KEYS && keys.order.capacity() <= KEPT_KEYS);
        // Many objects of a few keys need room for those of one.
        let many = format!("[{}0]", "{\"a\":1,\"b\":2},".repeat(2_000_000));
        check(&many, Ok(()));
        // Members to be blanked are kept until the end.
        let twice = format!("[{}0]", "{\"\":1,\"\":2},".repeat(most * 3 + 1));
        assert_eq!(
            blank_duplicates(twice.as_bytes()).map_err(|fault| fault.code),
            Err(ViolationCode::RowTooLarge)
        );
    }

    #[test]
    fn the_last_of_equal_keys_stays() {
        for (line, expected) in [
            (r#"{"a":1,"b":2}"#, None),
            (r#"{"a":1,"b":2,"a":3}"#, Some(r#"{      "b":2,"a":3}"#)),
            (r#"{"a":1 , "a":[{"x":1,"x":2}],"a":{"x":1,"x":2}}"#, None),
            (r#"[{"k":1,"k":2,"k":3}]"#, Some(r#"[{            "k":3}]"#)),
        ] {
            let found =
                blank_duplicates(line.as_bytes()).unwrap().map(|copy| String::from_utf8(copy).unwrap());
            if line.contains("[{\"x\"") {
                let value: serde_json::Value = serde_json::from_str(&found.unwrap()).unwrap();
                assert_eq!(value, serde_json::json!({"a": {"x": 2}}));
            } else {
                assert_eq!(found.as_deref(), expected, "{line}");
            }
        }
    }
}
