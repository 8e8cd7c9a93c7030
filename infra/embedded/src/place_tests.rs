use super::*;

fn document(id: &str, edit: impl Fn(String) -> String) -> Document {
    let text = format!(
        r#"
version = 1
id = "{id}"
tenant = "acme"
dataset = "d"
[source]
prefix = "acme/{id}/"
[destination]
role_arn = "arn:aws:iam::222222222222:role/landfall-delivery"
external_id = "an-external-id-of-acme"
region = "eu-central-1"
bucket = "acme-lake"
prefix = "lake/{id}/"
[contract]
version = 1
[[contract.column]]
name = "a"
type = "string"
[layout]
[catalog.glue]
database = "lake_{id}"
table = "t"
[[notify.queue]]
arn = "arn:aws:sqs:eu-central-1:222222222222:{id}-etl"
"#
    );
    Document { name: format!("{id}.toml"), text: edit(text) }
}

fn plain(id: &str) -> Document {
    document(id, |text| text)
}

#[test]
fn deliveries_of_one_role_share_a_client_stack() {
    let placement = place(&[plain("one"), plain("onto")]).expect("places");
    let [stack] = placement.clients.as_slice() else { panic!("{:?}", placement.clients) };
    assert_eq!(stack.production_prefix, "lake/");
    assert_eq!(stack.glue_database, "lake_on*");
    assert_eq!(stack.queues.len(), 2);
    assert_eq!(stack.role_arn(), "arn:aws:iam::222222222222:role/landfall-delivery");
    assert!(stack.create_bucket);
    assert_eq!(placement.notes, Vec::<String>::new());
    assert_eq!(placement.region, "eu-central-1");
}

#[test]
fn capabilities_are_off_and_the_rest_stays() {
    let placement = place(&[plain("one")]).expect("places");
    let original = document::parse("one", &plain("one").text).expect("parses");
    let placed = &placement.deliveries[0].delivery;
    assert!(!placed.destination.capabilities.conditional_copy);
    assert!(!placed.destination.capabilities.multipart_tags);
    assert_eq!(placed.pinned(), original.pinned());
    assert_eq!(placed.access(), original.access());
}

#[test]
fn what_client_yaml_cannot_create_is_replaced_and_said() {
    let other = document("one", |text| {
        text.replace("role/landfall", "role/data/landfall").replace("an-external-id-of-acme", "short")
    });
    let placement = place(&[other]).expect("places");
    assert_eq!(placement.notes.len(), 2, "{:?}", placement.notes);
    assert!(!placement.notes.join(" ").contains("short"));
    let to = &placement.deliveries[0].delivery.destination;
    assert_eq!(to.role_arn, "arn:aws:iam::222222222222:role/landfall-delivery");
    assert!(to.external_id.len() >= MIN_EXTERNAL_ID);
}

#[test]
fn a_second_folder_takes_a_second_role_and_the_same_bucket() {
    let other = document("two", |text| text.replace("\"lake/two/\"", "\"mart/two/\""));
    let placement = place(&[plain("one"), other]).expect("places");
    let roles: Vec<(&str, bool, &str)> = placement
        .clients
        .iter()
        .map(|stack| (stack.role_name.as_str(), stack.create_bucket, stack.production_prefix.as_str()))
        .collect();
    assert_eq!(
        roles,
        [("landfall-delivery", true, "lake/one/"), ("landfall-delivery-2", false, "mart/two/")]
    );
    assert_eq!(placement.notes.len(), 1);
}

#[test]
fn databases_that_begin_differently_take_a_role_each() {
    let other = document("two", |text| text.replace("lake_two", "mart"));
    let placement = place(&[plain("one"), other]).expect("places");
    let databases: Vec<&str> = placement.clients.iter().map(|stack| stack.glue_database.as_str()).collect();
    assert_eq!(databases, ["lake_one", "mart"], "never a lone `*`");
}

#[test]
fn wrong_documents_are_named_with_their_lines() {
    let wrong = document("one", |text| text.replace("dataset = \"d\"", "dataset = 7"));
    let error = place(&[wrong]).expect_err("refused").to_string();
    assert!(error.contains("one.toml:5:"), "{error}");
}
