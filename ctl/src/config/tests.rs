use std::path::Path;

use acrypto_core::{Config, DeviceSetup, Setup, TenantSetup};

use super::*;
use crate::exit::Exit;

fn load(text: &str) -> Result<Setup, Failure> {
    read::read(Path::new("acrypto.toml"), text).map(|loaded| loaded.setup)
}

#[track_caller]
fn refusal(text: &str) -> String {
    let failure = load(text).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    failure.lines()
}

fn setup() -> Setup {
    Setup {
        config: Config {
            main_queue_max_ops: 99,
            deadline_ns: 1_500_000,
            error_budget_window_ns: 86_400_000_000_000,
            seed: u64::MAX,
            ..Config::default()
        },
        devices: vec![
            DeviceSetup { name: "soft0".to_owned(), kind: "soft".to_owned(), ..DeviceSetup::default() },
            DeviceSetup {
                name: "a.b".to_owned(),
                kind: "sim".to_owned(),
                parameters: vec![
                    ("lanes".to_owned(), "2".to_owned()),
                    ("jitter".to_owned(), "0.5".to_owned()),
                ],
                shadow_rate: 0.000_000_001,
            },
        ],
        balancer: "round_robin_lb".to_owned(),
        balancer_parameters: vec![(
            "failover_lb".to_owned(),
            vec![("primary".to_owned(), "a.b,soft0".to_owned())],
        )],
        tenants: vec![
            TenantSetup { name: "uid:1000".to_owned(), weight: 3, limit_ops: 0 },
            TenantSetup { name: "web".to_owned(), weight: 1, limit_ops: 5 },
        ],
    }
}

#[test]
fn what_is_written_reads_back_equal() {
    assert_eq!(load(&write(&setup())).unwrap(), setup());
    let empty = Setup::default();
    assert_eq!(load(&write(&empty)).unwrap(), empty);
}

#[test]
fn an_empty_file_is_the_daemon_as_it_is_without_one() {
    let setup = load("").unwrap();
    assert_eq!(setup.config, Config::default());
    assert_eq!(setup.devices, crate::embedded::default_devices());
    assert!(load("[device]\n").unwrap().devices.is_empty());
}

#[test]
fn a_parameter_may_be_a_number_or_a_string() {
    let text = "[device.sim0]\nkind = 'sim'\nparameters = { lanes = 4, jitter = 0.5, seed = '1_0' }\n";
    let error = refusal(text);
    assert!(error.starts_with("acrypto: acrypto.toml:1: parameter 'seed': '1_0' is not"), "{error}");
    let setup = load(&text.replace("'1_0'", "1_0")).unwrap();
    let expected = [("lanes", "4"), ("jitter", "0.5"), ("seed", "10")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(setup.devices[0].parameters, expected);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_was_meant() {
    let wrong = [
        "[limits]\nworkers = 2\nmain_queue_max_op = 512\n",
        "[limits]\ndeadline = 30\n",
        "[limits]\ndeadline = \"30\"\n",
        "[limits]\ndeadline = \"1ns\"\n",
        "[limits]\ndeadline_ns = 5\n",
        "[limits]\nworkers = \"two\"\n",
        "[limits]\nworkers = -1\n",
        "[limits]\nattempts_max = 256\n",
        "[limits]\nop_max_bytes = \"1X\"\n",
        "limits = 3\n",
        "\n\n[divice.soft0]\nkind = \"soft\"\n",
        "[device.soft0]\nknd = \"soft\"\n",
        "[device.soft0]\n",
        "[device.soft0]\nkind = \"tpu\"\n",
        "[device.x]\nkind = \"soft\"\n\n[device.sim0]\nkind = \"sim\"\nparameters = { speed = 1 }\n",
        "[device.soft0]\nkind = \"soft\"\nshadow = 1.5\n",
        "[device.soft0]\nkind = \"soft\"\nshadow = true\n",
        "[device.\"a b\"]\nkind = \"soft\"\n",
        "[balancer]\nname = \"best_lb\"\n",
        "[balancer]\nname = 5\n",
        "[balancer.parameters.best_lb]\nspeed = 1\n",
        "[balancer]\nname = \"size_lb\"\n\n[balancer.parameters.size_lb]\nspeed = 1\n",
        "[tenant.web]\nweight = 1001\n",
        "[tenant.web]\nwieght = 1\n",
        "[tenant.\"no good\"]\n",
        "[limits]\nworkers = 1\nworkers = 2\n",
        "[limits\n",
        "a = = 1\n",
    ];
    insta::assert_snapshot!(wrong.map(|text| format!("{text}{}", refusal(text))).join("\n"));
}
