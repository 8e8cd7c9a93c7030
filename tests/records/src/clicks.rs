//! A click event.

use crate::Manner;
use crate::draw::{Draw, put};

const TYPES: [&str; 4] = ["view", "click", "scroll", "submit"];
const BROWSERS: [&str; 4] = ["Firefox/126.0", "Chrome/125.0.6422.60", "Safari/605.1.15", "Edg/125.0.2535.51"];
const SYSTEMS: [&str; 4] = [
    "X11; Linux x86_64",
    "Windows NT 10.0; Win64; x64",
    "Macintosh; Intel Mac OS X 14_4",
    "Android 14; Mobile",
];
const CONSENT: [&str; 3] = ["[\"necessary\"]", "[\"necessary\",\"statistics\"]", "[]"];

/// Appends one event as a line of JSON.
pub(crate) fn event(draw: &mut Draw, manner: Manner, number: u64, out: &mut Vec<u8>) {
    let missing = manner.missing_one_in;
    let (high, low) = (draw.number(), draw.number());
    put(
        out,
        format_args!(
            "{{\"event_id\":\"{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}\"",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        ),
    );
    put(out, format_args!(",\"ts\":{}", 1_779_000_000_000_u64 + number % 86_400_000));
    put(out, format_args!(",\"event_type\":\"{}\"", draw.one_of(&TYPES)));
    put(out, format_args!(",\"session_id\":\"s-{:08x}\"", draw.skewed(manner.vocabulary * 40)));
    if !draw.once_in(missing) {
        put(out, format_args!(",\"user_id\":{}", 1_000_000 + draw.skewed(manner.vocabulary * 200)));
    }
    put(
        out,
        format_args!(
            ",\"page\":{{\"url\":\"https://shop.example.com/c/{}\",\"title\":\"",
            draw.skewed(5_000)
        ),
    );
    let words = 2 + draw.below(manner.words / 4);
    draw.words(words, manner.vocabulary, out);
    out.push(b'"');
    if !draw.once_in(missing) {
        put(out, format_args!(",\"referrer\":\"https://search.example.org/?q="));
        draw.words(1, manner.vocabulary, out);
        out.push(b'"');
    }
    put(out, format_args!("}},\"position\":{{\"x\":{},\"y\":{}}}", draw.below(1_920), draw.skewed(8_000)));
    if !draw.once_in(missing) {
        put(out, format_args!(",\"dwell_seconds\":{}.{:03}", draw.skewed(300), draw.below(1_000)));
    }
    put(
        out,
        format_args!(
            ",\"experiments\":{{\"checkout\":\"{}\",\"banner\":\"v{}\"}}",
            ["a", "b"].get(usize::from(draw.once_in(2))).copied().unwrap_or_default(),
            draw.below(5)
        ),
    );
    put(out, format_args!(",\"consent\":{}", draw.one_of(&CONSENT)));
    let (system, browser) = (draw.one_of(&SYSTEMS), draw.one_of(&BROWSERS));
    put(out, format_args!(",\"user_agent\":\"Mozilla/5.0 ({system}) {browser}\""));
    if !draw.once_in(missing) {
        put(out, format_args!(",\"payload\":{{\"element\":\"button-{}\",\"text\":\"", draw.skewed(60)));
        let words = draw.below(manner.words / 2);
        draw.words(words, manner.vocabulary, out);
        put(out, format_args!("\",\"depth\":{}}}", draw.below(20)));
    }
    out.extend_from_slice(b"}\n");
}
