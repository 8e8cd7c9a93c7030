//! Sessions in a client's account end after an hour, also in the middle of a copy.

use testkit::fake::{Fault, Role};

use crate::scene::{Scene, document, noise};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";
/// Two parts of a copy.
const ROWS: u64 = 3_200;
const ROW_BYTES: usize = 4_096;

/// One part into a copy of two, which stands still for so many seconds there.
async fn in_the_middle_of_a_copy(seconds: u32) -> Scene {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.set_copy_limit(5 << 20);
    let still = Fault::Freeze { seconds, dies: false };
    scene.aws.faults().on("UploadPartCopy").after(1).inject(still);
    scene.stage("acme/rows/a", noise(0, ROWS, ROW_BYTES));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.pipe.frozen(), 1, "it has begun");
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    scene
}

/// Lets nobody assume the role any more; sessions that are open go on.
fn refuse_new_sessions(scene: &Scene) -> Role {
    let role = scene.aws.role(ROLE).expect("the role");
    scene.aws.put_role(Role { external_id: Some("another".to_owned()), ..role.clone() });
    role
}

fn assert_delivered(scene: &Scene) {
    assert_eq!(scene.delivered_ids(LAKE).len() as u64, ROWS);
    assert_eq!(scene.delivered(LAKE).len(), 1);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.notices("acme").len(), 1);
    assert_eq!(scene.aws.keys(LAKE, "_tmp/"), Vec::<String>::new());
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_session_that_runs_out_in_the_middle_of_a_copy_is_renewed_and_the_copy_goes_on() {
    let mut scene = in_the_middle_of_a_copy(3_700).await;
    scene.run(3_720).await;
    scene.tick_for(2).await;
    assert_delivered(&scene);
    let attempts = scene.record_names(ID, 1).iter().filter(|name| name.starts_with("attempt")).count();
    assert_eq!(attempts, 1, "one copy, not two: {:?}", scene.record_names(ID, 1));
    assert_eq!(scene.aws.calls_of("CreateMultipartUpload").len(), 1, "the copy's");

    // Before it runs out nobody asks for another.
    let mut scene = in_the_middle_of_a_copy(600).await;
    refuse_new_sessions(&scene);
    scene.run(620).await;
    assert_eq!(scene.delivered_ids(LAKE).len() as u64, ROWS);
}

#[tokio::test]
async fn a_session_that_is_not_renewed_in_the_middle_of_a_copy_holds_the_delivery_and_doubles_nothing() {
    let mut scene = in_the_middle_of_a_copy(3_700).await;
    let role = refuse_new_sessions(&scene);
    scene.run(3_720).await;
    assert_eq!(scene.holds(ID), ["role"]);
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    scene.tick_for(30).await;
    scene.aws.put_role(role);
    scene.tick_for(60).await;
    assert_delivered(&scene);
    // Nobody was let in to abort it: nothing of it can be seen, and the client's lifecycle rule removes it.
    assert_eq!(scene.aws.uploads(LAKE), scene.delivered(LAKE));
}
