//! The adapters among the examples do what they say.

#[path = "../examples/own_balancer.rs"]
mod own_balancer;
#[path = "../examples/rustcrypto_aead.rs"]
mod rustcrypto_aead;
#[path = "../examples/rustcrypto_digest.rs"]
mod rustcrypto_digest;
#[path = "../examples/rustls_provider.rs"]
mod rustls_provider;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn a_balancer_of_ones_own_is_followed() -> Outcome {
    own_balancer::main()
}

#[test]
fn code_for_the_aead_traits_runs_on_a_session() -> Outcome {
    rustcrypto_aead::main()
}

#[test]
fn code_for_the_digest_traits_runs_on_a_stream() -> Outcome {
    rustcrypto_digest::main()
}

#[test]
fn tls_1_3_runs_on_sessions() -> Outcome {
    rustls_provider::main()
}
