//! What deliveries may share, and what they may not.

use proptest::prelude::*;

use super::*;

const PRODUCTS: &str = include_str!("../../../docs/examples/product-catalogue.toml");
const CLICKS: &str = include_str!("../../../docs/examples/click-events.toml");

fn options() -> RegistryOptions {
    RegistryOptions { region: "eu-central-1".into(), allow_cross_region: false }
}

/// What differs between the documents of these tests.
struct Doc {
    id: &'static str,
    tenant: &'static str,
    source: String,
    role: &'static str,
    region: &'static str,
    bucket: &'static str,
    prefix: &'static str,
    rest: &'static str,
}

fn doc(id: &'static str) -> Doc {
    let prefix = match id {
        "a" => "tables/a/",
        "b" => "tables/b/",
        _ => "tables/c/",
    };
    Doc {
        id,
        tenant: "acme",
        source: format!("{id}/"),
        role: "acme",
        region: "eu-central-1",
        bucket: "acme-lake",
        prefix,
        rest: "",
    }
}

impl Doc {
    fn text(&self) -> (String, String) {
        let Self { id, tenant, source, role, region, bucket, prefix, rest } = self;
        let text = format!(
            "version = 1\nid = \"{id}\"\ntenant = \"{tenant}\"\ndataset = \"d\"\n\
             [source]\nprefix = \"{source}\"\n\
             [destination]\nrole_arn = \"arn:aws:iam::111122223333:role/{role}\"\nexternal_id = \"s3cr3t\"\n\
             region = \"{region}\"\nbucket = \"{bucket}\"\nprefix = \"{prefix}\"\n{rest}\n\
             [contract]\nversion = 1\n[[contract.column]]\nname = \"x\"\ntype = \"json\"\n[layout]\n"
        );
        (format!("{id}-{tenant}-{source}.toml"), text)
    }
}

fn load(docs: &[Doc]) -> Registry {
    Registry::load(docs.iter().map(Doc::text), &options())
}

/// The ids that may run, and the refusals as text.
fn outcome(docs: &[Doc]) -> (Vec<String>, Vec<String>) {
    let registry = load(docs);
    assert_eq!(registry.is_sound(), registry.refused().is_empty());
    let ids = registry.deliveries().map(|delivery| delivery.id.clone()).collect();
    let refusals: Vec<String> = registry.refused().iter().map(ToString::to_string).collect();
    assert!(!refusals.concat().contains("s3cr3t"));
    (ids, refusals)
}

#[test]
fn the_examples_run_side_by_side() {
    let documents = [("p".to_owned(), PRODUCTS.to_owned()), ("c".to_owned(), CLICKS.to_owned())];
    let registry = Registry::load(documents, &options());
    assert!(registry.is_sound(), "{:?}", registry.refused());
    assert!(registry.by_id("globex-click-events").is_some());
    let routed = registry.route("acme/product-catalogue/2026/x.jsonl").map(|delivery| delivery.id.as_str());
    assert_eq!(routed, Some("acme-product-catalogue"));
}

#[test]
fn keys_are_routed_by_their_prefix_alone() {
    let registry = load(&[doc("a"), doc("b"), Doc { source: "c/deep/er/".into(), ..doc("c") }]);
    for (key, id) in [
        ("a/x", Some("a")),
        ("a/", Some("a")),
        ("a", None),
        ("a0", None),
        ("b/y/z", Some("b")),
        ("c/deep/er/x", Some("c")),
        ("c/deep/x", None),
        ("c/deep/er", None),
        ("", None),
        ("zz", None),
    ] {
        assert_eq!(registry.route(key).map(|delivery| delivery.id.as_str()), id, "{key}");
    }
}

#[test]
fn a_malformed_document_refuses_its_own_delivery_only() {
    let broken = Doc { bucket: "B", ..doc("b") };
    let (ids, refusals) = outcome(&[doc("a"), broken]);
    assert_eq!(ids, ["a"]);
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].starts_with("b-acme-b/.toml:11:10: destination.bucket: "), "{refusals:?}");
    let registry = Registry::load([("x".to_owned(), "not toml".to_owned()), doc("a").text()], &options());
    assert_eq!(registry.refused()[0].id, None);
    assert!(registry.by_id("a").is_some());
}

#[test]
fn overlapping_sources_refuse_all_deliveries_involved() {
    let inner = Doc { source: "a/inner/".into(), ..doc("b") };
    let (ids, refusals) = outcome(&[doc("a"), inner, doc("c")]);
    assert_eq!(ids, ["c"]);
    assert_eq!(
        refusals,
        [
            "a-acme-a/.toml: source.prefix `a/` overlaps `a/inner/` of b-acme-a/inner/.toml: an object would belong to both",
            "b-acme-a/inner/.toml: source.prefix `a/inner/` overlaps `a/` of a-acme-a/.toml: an object would belong to both",
        ]
    );
    let same = Doc { source: "a/".into(), ..doc("b") };
    let (ids, refusals) = outcome(&[doc("a"), same]);
    assert_eq!((ids.len(), refusals.len()), (0, 2));
    assert_eq!(refusals[0].lines().count(), 1, "{refusals:?}");
}

#[test]
fn duplicate_ids_refuse_both() {
    let other = Doc { source: "other/".into(), prefix: "tables/other/", ..doc("a") };
    let (ids, refusals) = outcome(&[doc("a"), other, doc("b")]);
    assert_eq!(ids, ["b"]);
    assert_eq!(
        refusals,
        [
            "a-acme-a/.toml: id `a` is taken by a-acme-other/.toml: an id belongs to one delivery for ever",
            "a-acme-other/.toml: id `a` is taken by a-acme-a/.toml: an id belongs to one delivery for ever",
        ]
    );
}

#[test]
fn a_role_belongs_to_one_tenant() {
    let (ids, refusals) = outcome(&[doc("a"), doc("b"), Doc { tenant: "globex", ..doc("c") }]);
    assert_eq!(ids, Vec::<String>::new());
    assert_eq!(
        refusals[0],
        "a-acme-a/.toml: role arn:aws:iam::111122223333:role/acme is used by tenant `globex` in c-globex-c/.toml: \
         a role belongs to one tenant"
    );
    let (ids, _) = outcome(&[doc("a"), Doc { tenant: "globex", role: "globex", ..doc("c") }]);
    assert_eq!(ids, ["a", "c"]);
}

#[test]
fn another_region_is_refused_unless_allowed() {
    let docs = [doc("a"), Doc { region: "us-east-1", ..doc("b") }];
    let (ids, refusals) = outcome(&docs);
    assert_eq!(ids, ["a"]);
    assert_eq!(
        refusals,
        [
            "b-acme-b/.toml: destination.region is us-east-1, the stack's is eu-central-1, and cross-region delivery is \
          not allowed"
        ]
    );
    let allowed = RegistryOptions { allow_cross_region: true, ..options() };
    assert!(Registry::load(docs.iter().map(Doc::text), &allowed).is_sound());
}

#[test]
fn tables_do_not_lie_inside_each_other() {
    let (ids, refusals) = outcome(&[doc("a"), Doc { prefix: "tables/a/b/", ..doc("b") }]);
    assert_eq!(ids, Vec::<String>::new());
    assert_eq!(
        refusals[1],
        "b-acme-b/.toml: destination.prefix `tables/a/b/` overlaps `tables/a/` of a-acme-a/.toml in bucket `acme-lake`: \
         one table would lie inside another"
    );
    let (ids, _) = outcome(&[doc("a"), Doc { prefix: "tables/a/b/", bucket: "other-lake", ..doc("b") }]);
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn hidden_prefixes_are_shared_but_lie_in_no_table() {
    let (ids, _) = outcome(&[doc("a"), doc("b")]);
    assert_eq!(ids, ["a", "b"], "both use _tmp/");
    let (ids, refusals) =
        outcome(&[doc("a"), Doc { rest: "temp_prefix = \"tables/a/hidden/\"", ..doc("b") }]);
    assert_eq!(ids, Vec::<String>::new());
    assert_eq!(
        refusals[0],
        "a-acme-a/.toml: hidden prefix `tables/a/hidden/b/` and table location `tables/a/` overlap in bucket \
         `acme-lake` (with b-acme-b/.toml): unchecked files would be seen"
    );
}

#[test]
fn a_catalog_table_has_one_delivery() {
    let glue = "[catalog.glue]\ndatabase = \"raw\"\ntable = \"t\"";
    let (ids, refusals) =
        outcome(&[Doc { rest: glue, ..doc("a") }, Doc { rest: glue, ..doc("b") }, doc("c")]);
    assert_eq!(ids, ["c"]);
    assert_eq!(
        refusals[0],
        "a-acme-a/.toml: Glue table `raw.t` of account 111122223333 is the table of b-acme-b/.toml too"
    );
}

#[test]
fn refusals_name_a_bounded_number_of_others() {
    let docs: Vec<(String, String)> =
        (0..60).map(|number| (format!("{number}.toml"), doc("a").text().1)).collect();
    let registry = Registry::load(docs, &options());
    assert_eq!(registry.refused().len(), 60);
    assert!(registry.refused().iter().all(|refusal| (1..=MOST_REASONS).contains(&refusal.reasons.len())));
}

/// A typing error in a document must not hand its objects to somebody else's delivery.
#[test]
fn a_wrong_document_still_claims_its_id_and_its_prefix() {
    let inner = Doc { source: "a/rows/".into(), tenant: "globex", role: "globex", ..doc("b") };
    let (name, outer) = doc("a").text();
    for typo in [outer.replace("type = \"json\"", "type = \"jsn\""), format!("{outer}\nnot toml")] {
        let registry = Registry::load([(name.clone(), typo), inner.text()], &options());
        assert_eq!(registry.deliveries().count(), 0, "{:?}", registry.refused());
        let reasons: Vec<&RefusalReason> = registry
            .refused()
            .iter()
            .filter(|refusal| refusal.id.as_deref() == Some("b"))
            .flat_map(|refusal| &refusal.reasons)
            .collect();
        assert!(matches!(reasons.as_slice(), [RefusalReason::SourceOverlap { .. }]), "{reasons:?}");
    }

    let twin = Doc { source: "other/".into(), bucket: "other-lake", ..doc("a") };
    let typo = outer.replace("type = \"json\"", "type = \"jsn\"");
    let registry = Registry::load([(name, typo), ("twin.toml".to_owned(), twin.text().1)], &options());
    assert_eq!(registry.deliveries().count(), 0);
    assert!(
        registry
            .refused()
            .iter()
            .any(|refusal| { matches!(refusal.reasons.as_slice(), [RefusalReason::DuplicateId { .. }]) })
    );
}

proptest! {
    /// The look-up agrees with trying every prefix, and refusals do not depend on the order of the documents.
    #[test]
    fn routing_agrees_with_a_search_of_all_prefixes(
        sources in proptest::collection::btree_set("([ab]{1,2}/){1,3}", 1..8),
        keys in proptest::collection::vec("([ab]{1,2}/){0,4}[ab]{0,2}", 1..8),
    ) {
        let docs: Vec<(String, String)> = sources.iter().enumerate().map(|(index, source)| {
            let (_, text) = Doc { source: source.clone(), ..doc("a") }.text();
            let text = text.replace("id = \"a\"", &format!("id = \"a{index}\""))
                .replace("tables/a/", &format!("tables/{index}/"));
            (format!("{index}.toml"), text)
        }).collect();
        let registry = Registry::load(docs.clone(), &options());
        let backwards = Registry::load(docs.into_iter().rev(), &options());
        prop_assert_eq!(registry.refused(), backwards.refused());
        let overlapping = |source: &String| {
            sources.iter().any(|other| other != source && (other.starts_with(source) || source.starts_with(other)))
        };
        prop_assert_eq!(registry.refused().len(), sources.iter().filter(|source| overlapping(source)).count());
        for key in keys {
            let expected = registry.deliveries().find(|delivery| key.starts_with(&delivery.source.prefix));
            prop_assert_eq!(registry.route(&key), expected);
        }
    }
}
