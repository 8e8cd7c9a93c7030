//! Delivery documents as somebody wrote them.

use landfall_core::delivery::Delivery;
use landfall_core::document::parse_bytes;
use landfall_parquet::CompiledContract;

/// The bytes are a document.
pub fn delivery_documents(data: &[u8]) {
    let delivery = match parse_bytes("acme.toml", data) {
        Ok(delivery) => delivery,
        Err(errors) => {
            let lines = data.split(|byte| *byte == b'\n').count();
            assert!(!errors.errors.is_empty(), "a refusal has a reason");
            for error in &errors.errors {
                assert!(
                    (1..=lines).contains(&error.line) && error.column > 0,
                    "{error:?} lies in the document"
                );
                assert!(!error.message.is_empty());
            }
            return;
        }
    };
    let written = toml::to_string(&delivery).expect("a delivery is a document");
    assert_eq!(parse_bytes("again.toml", written.as_bytes()).as_ref(), Ok(&delivery), "as it was read");
    let stored = serde_json::to_string(&delivery).expect("a delivery is JSON");
    assert_eq!(serde_json::from_str::<Delivery>(&stored).expect("our own JSON"), delivery);
    let compiled = CompiledContract::new(&delivery.contract);
    assert!(compiled.is_ok(), "a document is sound, and its contract is not: {:?}", compiled.err());
}
