//! Sessions with preferences, tenants, and the configuration.

use acrypto_core::{Algorithm, Key, Request, SETTINGS, SessionSpec};
use zeroize::Zeroizing;

use super::*;
use crate::message::*;

const IV: [u8; 16] = [3; 16];

fn key(byte: u8, bytes: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![byte; bytes])
}

fn ctr(byte: u8) -> SessionNew {
    SessionNew {
        algorithm: "aes-128-ctr".to_owned(),
        keys: vec![key(byte, 16)],
        persistent: true,
        ..SessionNew::default()
    }
}

fn encrypt(session: u64) -> OpSubmit {
    OpSubmit { session, kind: OpKind::Encrypt, data: vec![9; 100], iv: IV.to_vec(), aad: Vec::new() }
}

fn only(name: &str) -> Option<Bind> {
    Some(Bind { target: Target::Device(name.to_owned()), only: true })
}

#[tokio::test]
async fn a_session_has_the_preferences_that_were_asked_for() {
    let (_server, client) = connected().await;
    let asked = SessionNew {
        ordered: true,
        bind: only("soft0"),
        tenant: "web".to_owned(),
        deadline_ns: Some(5_000_000_000),
        priority: Some(6),
        ..ctr(1)
    };
    let id = client.session_new(asked).await.unwrap();
    let session = client.session(id).await.unwrap();
    assert!(session.ordered && session.route.is_empty());
    assert_eq!((session.bind, session.tenant.as_str(), session.priority), (only("soft0"), "web", 6));
    assert_eq!(errno(client.session(id + 1).await), ENOENT);
}

#[tokio::test]
async fn a_session_with_a_route_takes_a_key_for_each_stage() {
    let (server, client) = connected().await;
    let stage = |algorithm: &str| Stage { algorithm: algorithm.to_owned(), bind: None };
    let asked = |keys| SessionNew {
        algorithm: "aes-128-cbc".to_owned(),
        route: vec![stage("aes-128-cbc"), stage("hmac-sha256")],
        keys,
        padding: true,
        ..SessionNew::default()
    };
    let id = client.session_new(asked(vec![key(1, 16), key(2, 32)])).await.unwrap();
    let names: Vec<String> =
        client.session(id).await.unwrap().route.into_iter().map(|stage| stage.algorithm).collect();
    assert_eq!(names, ["aes-128-cbc", "hmac-sha256"]);
    let sealed = client.op_submit(encrypt(id)).await.unwrap().data;

    let single = SessionSpec::new(Algorithm::Aes128Cbc).padding(acrypto_core::Padding::Pkcs7);
    let single = server.runtime().session(single, Key::new(vec![1; 16])).unwrap();
    let ciphertext = single.call(Request::encrypt(vec![9; 100], IV)).unwrap().data;
    assert_eq!(sealed[..ciphertext.len()], ciphertext);
    assert_eq!(sealed.len(), ciphertext.len() + 16);
    assert_eq!(errno(client.session_new(asked(vec![key(1, 16)])).await), EINVAL);
}

#[tokio::test]
async fn a_rekeyed_session_works_under_the_other_key() {
    let (_server, client) = connected().await;
    let (first, second) =
        (client.session_new(ctr(1)).await.unwrap(), client.session_new(ctr(2)).await.unwrap());
    let before = client.op_submit(encrypt(first)).await.unwrap().data;
    client.session_rekey(first, vec![key(2, 16)]).await.unwrap();
    let after = client.op_submit(encrypt(first)).await.unwrap().data;
    assert_ne!(before, after);
    assert_eq!(after, client.op_submit(encrypt(second)).await.unwrap().data);
    assert_eq!(client.session(first).await.unwrap().rekeys, 1);
    assert_eq!(errno(client.session_rekey(first, vec![key(2, 15)]).await), EINVAL);
    assert_eq!(errno(client.session_rekey(first, Vec::new()).await), EINVAL);
    assert_eq!(errno(client.session_rekey(7777, vec![key(2, 16)]).await), ENOENT);
}

#[tokio::test]
async fn a_session_is_tied_to_a_device_to_another_and_to_none() {
    let (_server, client) = connected().await;
    client.device_add("soft1", "soft", &[]).await.unwrap();
    let id = client.session_new(ctr(1)).await.unwrap();
    for device in ["soft1", "soft0", "soft1"] {
        client.session_bind(id, only(device)).await.unwrap();
        assert_eq!(client.op_submit(encrypt(id)).await.unwrap().device, device);
    }
    client.session_bind(id, None).await.unwrap();
    assert_eq!(client.session(id).await.unwrap().bind, None);
    assert_eq!(errno(client.session_bind(id, only("no good")).await), EINVAL);
}

#[tokio::test]
async fn only_its_owner_and_an_admin_change_a_session() {
    let (server, admin) = connected().await;
    let owner = Client::over(server.memory_as(peer(stranger()))).await.unwrap();
    let other = Client::over(server.memory_as(peer(stranger() + 1))).await.unwrap();
    let id = owner.session_new(ctr(1)).await.unwrap();
    assert_eq!(errno(other.session_bind(id, None).await), EPERM);
    assert_eq!(errno(other.session_rekey(id, vec![key(2, 16)]).await), EPERM);
    owner.session_rekey(id, vec![key(2, 16)]).await.unwrap();
    admin.session_bind(id, only("soft0")).await.unwrap();
    let own = server.runtime().session(SessionSpec::new(Algorithm::Sha256), Key::none()).unwrap();
    assert_eq!(errno(admin.session_bind(own.id(), None).await), EBUSY);
}

#[tokio::test]
async fn tenants_have_the_weights_that_an_admin_gives_them() {
    let (server, admin) = connected().await;
    admin.tenant_set("web", Some(3), None).await.unwrap();
    admin.tenant_set("web", None, Some(8)).await.unwrap();
    let tenants = admin.tenants().await.unwrap();
    let web = tenants.iter().find(|tenant| tenant.name == "web").unwrap();
    assert_eq!((web.weight, web.limit_ops), (3, 8));
    assert_eq!(errno(admin.tenant_set("web", Some(0), None).await), EINVAL);
    assert_eq!(errno(admin.tenant_set("no good", Some(1), None).await), EINVAL);

    let user = Client::over(server.memory_as(peer(stranger()))).await.unwrap();
    assert_eq!(errno(user.tenant_set("web", Some(9), None).await), EPERM);
    let in_tenant = |tenant: &str| SessionNew { tenant: tenant.to_owned(), ..ctr(1) };
    assert_eq!(errno(user.session_new(in_tenant("web")).await), EPERM);
    user.session_new(in_tenant(&format!("uid:{}", stranger()))).await.unwrap();
    admin.session_new(in_tenant("web")).await.unwrap();
}

#[tokio::test]
async fn i7_every_setting_is_told_with_its_bounds() {
    let (server, client) = connected().await;
    let settings = client.settings().await.unwrap();
    assert_eq!(settings.len(), SETTINGS.len());
    for (theirs, ours) in settings.iter().zip(SETTINGS) {
        assert_eq!(theirs.name, ours.name);
        assert_eq!(theirs.value, ours.value(server.runtime().config()));
        assert_eq!((theirs.least, theirs.most), (ours.least, ours.most));
    }
    let queue = settings.iter().find(|setting| setting.name == "main_queue_max_ops").unwrap();
    assert_eq!((queue.value, queue.default), (1_024, 65_536));
}
