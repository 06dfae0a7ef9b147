use isinglass_model::clock::ManualClock;
use serde_json::json;

use super::*;
use crate::chain::tests::spans;
use crate::live::LiveChain;

const NOW: i64 = 1_700_000_000_000_000_000;

fn chains() -> LiveChain {
    LiveChain::fixed(ChainConfig::default(), Arc::new(ManualClock::at(NOW))).unwrap()
}

fn again(name: &str, instead: Instead) -> Result<Again, ChainError> {
    chains().again(name, &Tenant::default(), instead)
}

#[test]
fn it_answers_as_the_live_one_does() {
    let again = again("span-metrics", Instead::default()).unwrap();
    let deriver = again.deriver().unwrap();
    assert!(deriver.plugin.starts_with("span-metrics@") && deriver.digest.len() == 64, "{deriver:?}");
    assert!(again.columns(Shape::Spans).unwrap().contains(&"duration".to_owned()));
    assert_eq!(again.columns(Shape::Logs), None);
    let batch = spans(100);
    let live = chains().current().derive(&Tenant::default(), &batch, NOW);
    assert_eq!(again.derive(&batch, NOW).unwrap(), live);
    assert_eq!(again.config_digest().len(), 64);
}

#[test]
fn what_cannot_be_derived_again_is_named() {
    let fault = |name: &str, instead: Instead| again(name, instead).err().unwrap().to_string();
    assert!(fault("nobody", Instead::default()).contains("there is no plugin \"nobody\""));
    assert!(fault("validate", Instead::default()).contains("it is a validator"));
    let config = Some(json!({ "bucket": 1 }));
    let wrong = fault("span-metrics", Instead { config, ..Instead::default() });
    assert!(wrong.contains("configuration refused"), "{wrong}");
}
