//! A product as a scrape saw it.

use crate::Manner;
use crate::draw::{Draw, put};

const SHOPS: [&str; 4] = ["acme-de", "acme-fr", "acme-nl", "acme-pl"];
const CATEGORIES: [&str; 8] =
    ["Home", "Garden", "Kitchen & Dining", "Electronics", "Fashion", "Sports", "Toys", "Tools"];
const LANGUAGES: [&str; 4] = ["de-DE", "fr-FR", "nl", "pl-PL"];
const NAMES: [&str; 8] = ["colour", "size", "material", "style", "origin", "energy class", "warranty", "EAN"];

/// Appends one product as a line of JSON.
pub(crate) fn product(draw: &mut Draw, manner: Manner, number: u64, out: &mut Vec<u8>) {
    let missing = manner.missing_one_in;
    let price = 99 + draw.skewed(200_000);
    let second = 1_779_000_000 + number % 86_400;
    put(out, format_args!("{{\"product_id\":\"AC-{:08}\"", number % 100_000_000));
    if !draw.once_in(missing) {
        put(out, format_args!(",\"gtin\":\"{:013}\"", draw.below(10_000_000_000_000)));
    }
    put(out, format_args!(",\"url\":\"https://shop.example.com/p/{number}-"));
    let slug = out.len();
    draw.words(3, manner.vocabulary, out);
    // As shops write them.
    for byte in out.iter_mut().skip(slug).filter(|byte| **byte == b' ') {
        *byte = b'-';
    }
    put(out, format_args!("\",\"shop\":\"{}\"", draw.one_of(&SHOPS)));
    put(out, format_args!(",\"scraped_at\":\"{}\"", Time(second)));
    put(out, format_args!(",\"title\":\""));
    let words = 3 + draw.below(6);
    draw.words(words, manner.vocabulary, out);
    if !draw.once_in(missing) {
        put(out, format_args!("\",\"description\":\""));
        let words = 4 + draw.below(manner.words * 2);
        draw.words(words, manner.vocabulary, out);
    }
    put(out, format_args!("\",\"brand\":\"brand {}\"", draw.skewed(manner.vocabulary)));
    put(out, format_args!(",\"category_path\":[\"{}\",\"", draw.one_of(&CATEGORIES)));
    draw.words(1, 40, out);
    put(out, format_args!("\"],\"language\":\"{}\",\"image_urls\":[", draw.one_of(&LANGUAGES)));
    for image in 0..draw.below(4) {
        let comma = if image > 0 { "," } else { "" };
        put(out, format_args!("{comma}\"https://img.example.com/{:016x}.jpg\"", draw.number()));
    }
    put(out, format_args!("],\"attributes\":{{"));
    let names = NAMES.iter().skip(usize::try_from(draw.below(6)).unwrap_or(0)).take(4);
    for (index, name) in names.enumerate() {
        let comma = if index > 0 { "," } else { "" };
        put(out, format_args!("{comma}\"{name}\":\""));
        draw.words(1, 60, out);
        out.push(b'"');
    }
    put(out, format_args!("}},\"price\":{}.{:02}", price / 100, price % 100));
    if !draw.once_in(missing) {
        let list = price + draw.below(price);
        put(out, format_args!(",\"list_price\":{}.{:02}", list / 100, list % 100));
    }
    put(out, format_args!(",\"currency\":\"EUR\",\"vat_percent\":{}.00", 7 + 12 * draw.below(2)));
    put(out, format_args!(",\"in_stock\":{}", !draw.once_in(5)));
    put(out, format_args!(",\"stock_quantity\":{}", draw.skewed(500)));
    if draw.once_in(missing) {
        put(out, format_args!(",\"available_from\":\"2026-06-{:02}\"", 1 + draw.below(30)));
    }
    put(out, format_args!(",\"offers\":["));
    for offer in 0..draw.skewed(5) {
        let comma = if offer > 0 { "," } else { "" };
        let (seller, price, days) = (draw.skewed(300), 99 + draw.skewed(200_000), draw.below(14));
        put(
            out,
            format_args!(
                "{comma}{{\"seller\":\"seller {seller}\",\"price\":{}.{:02},\"shipping\":4.90,\"days\":{days}}}",
                price / 100,
                price % 100
            ),
        );
    }
    put(
        out,
        format_args!(
            "],\"dimensions\":{{\"width_mm\":{},\"height_mm\":{},\"depth_mm\":{},\"weight_g\":{}}}",
            draw.below(900),
            draw.below(900),
            draw.below(900),
            draw.skewed(20_000)
        ),
    );
    if !draw.once_in(missing) {
        put(out, format_args!(",\"rating\":{}.{}", 1 + draw.below(4), draw.below(10)));
    }
    put(out, format_args!(",\"review_count\":{},\"http_status\":200", draw.skewed(3_000)));
    put(
        out,
        format_args!(
            ",\"scraper\":{{\"name\":\"catalogue\",\"version\":\"4.2.0\",\"run\":\"r{}\"}}",
            number >> 24
        ),
    );
    put(
        out,
        format_args!(
            ",\"ld_json\":{{\"@type\":\"Product\",\"sku\":\"{number}\",\"offers\":{{\"price\":{}.{:02}}}}}}}\n",
            price / 100,
            price % 100
        ),
    );
}

/// A second of 2026-05-17, as RFC 3339 writes it.
struct Time(u64);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let second = self.0 % 86_400;
        write!(f, "2026-05-17T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}
