use super::*;
use crate::abi::pairs::AdditionOut;

fn metric(name: &str, kind: DeclaredKindOut) -> DeclaredOut {
    DeclaredOut {
        name: name.to_owned(),
        kind,
        help: String::new(),
        unit: String::new(),
        classic: kind == DeclaredKindOut::Histogram,
        bounds: Vec::new(),
        exponential_buckets_max: 0,
    }
}

fn good() -> DeclarationOut {
    let additions = vec![
        AdditionOut { metric: 0, rule: RuleOut::Pairs },
        AdditionOut { metric: 1, rule: RuleOut::SecondValue },
        AdditionOut { metric: 2, rule: RuleOut::Presence },
    ];
    DeclarationOut {
        metrics: vec![
            metric("calls_total", DeclaredKindOut::Counter),
            metric("seconds", DeclaredKindOut::Histogram),
            metric("info", DeclaredKindOut::Gauge),
        ],
        pairing: Some(PairingOut { wait_ms: 10, pending_max: 10, additions, exemplars: false }),
        exemplar_label: "traceID".to_owned(),
    }
}

fn check_fault(change: impl FnOnce(&mut DeclarationOut, &mut PairingOut), fault: &str) {
    let mut out = good();
    let mut pairing = out.pairing.take().unwrap();
    change(&mut out, &mut pairing);
    out.pairing = Some(pairing);
    let failure = check_declaration(out).unwrap_err();
    assert!(failure.message.contains(fault), "{failure}");
}

#[test]
fn declarations_are_checked() {
    let declared = check_declaration(good()).unwrap();
    assert_eq!(declared.pairing.unwrap().additions[1], (PairRule::SecondValue, 1));
    check_fault(|out, _| out.metrics[1].classic = false, "classic, exponential or both");
    check_fault(|out, _| out.metrics[2].classic = true, "it is no histogram");
    check_fault(|out, _| out.metrics[0].exponential_buckets_max = 1, "it is no histogram");
    check_fault(|out, _| out.metrics[1].exponential_buckets_max = 1_001, "too many bounds");
    check_fault(|out, _| out.exemplar_label = "a b".to_owned(), "is no label name");
    check_fault(|_, pairing| pairing.additions[0].metric = 3, "metric 3 is not a Counter");
    check_fault(|_, pairing| pairing.additions[0].metric = 1, "metric 1 is not a Counter");
    check_fault(|_, pairing| pairing.additions[1].rule = RuleOut::Marked, "metric 1 is not a Counter");
    check_fault(|_, pairing| pairing.additions.push(pairing.additions[0]), "metric 0 is added to twice");
    check_fault(|_, pairing| pairing.wait_ms = 600_001, "wait-ms is 600001");
    check_fault(|_, pairing| pairing.pending_max = 1_000_001, "pending-max is 1000001");
}
