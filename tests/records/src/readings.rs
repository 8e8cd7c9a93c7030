//! A reading of a sensor: many words for little that changes, as such records are.

use crate::Manner;
use crate::draw::{Draw, put};

const METRICS: [&str; 4] = ["temperature", "relative_humidity", "air_pressure", "carbon_dioxide"];
const SITES: [&str; 5] = ["rotterdam-harbour", "lyon-depot", "gdansk-yard", "porto-works", "graz-store"];

/// Appends one reading as a line of JSON.
pub(crate) fn reading(draw: &mut Draw, manner: Manner, number: u64, out: &mut Vec<u8>) {
    let metric = METRICS.get(usize::try_from(number % 4).unwrap_or(0)).copied().unwrap_or_default();
    let site = draw.one_of(&SITES);
    put(
        out,
        format_args!(
            "{{\"measurement\":\"{metric}\",\"site_name\":\"{site}\",\"sensor_serial_number\":\"SN-{:06}\"",
            draw.below(manner.vocabulary)
        ),
    );
    put(
        out,
        format_args!(
            ",\"recorded_at_epoch_millis\":{},\"reading_value\":{}.{}",
            1_779_000_000_000 + number % 86_400 * 1000,
            18 + draw.skewed(12),
            draw.below(10)
        ),
    );
    put(
        out,
        format_args!(
            ",\"quality_flag\":\"{}\",\"firmware_version\":\"2026.05.{}\",\"battery_is_low\":{}}}\n",
            if draw.once_in(200) { "suspect" } else { "good" },
            draw.skewed(3),
            draw.once_in(500)
        ),
    );
}
