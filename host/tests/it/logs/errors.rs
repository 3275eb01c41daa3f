//! Commits to brokers that answer with errors, as librdkafka's mock cluster gives them.

use std::collections::BTreeMap;

use isobar::kafka::Cluster;
use rdkafka::mocking::MockCluster;
use rdkafka::types::RDKafkaApiKey;
use rdkafka::types::RDKafkaApiKey::{
    AddOffsetsToTxn, AddPartitionsToTxn, EndTxn, InitProducerId, Produce, TxnOffsetCommit,
};
use rdkafka::types::RDKafkaRespErr::{
    self, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS as CONCURRENT,
    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS as LOADING, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION as GENERATION,
    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH as EPOCH, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as TOO_LARGE,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR as COORDINATOR, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as REPLICAS,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as LEADER, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER as SEQUENCE,
    RD_KAFKA_RESP_ERR_PRODUCER_FENCED as FENCED, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as TIMED_OUT,
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as UNAUTHORIZED, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID as MEMBER,
    RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID as UNKNOWN,
};

use super::{Log, application, commit, publishing, varied};

/// What passes by itself: the commit takes effect as if nothing had been.
const PASSING: [(RDKafkaApiKey, &[RDKafkaRespErr]); 7] = [
    (Produce, &[LEADER]),
    (Produce, &[TIMED_OUT, REPLICAS, TIMED_OUT]),
    (AddPartitionsToTxn, &[CONCURRENT, CONCURRENT]),
    (AddPartitionsToTxn, &[LOADING]),
    (AddOffsetsToTxn, &[COORDINATOR]),
    (TxnOffsetCommit, &[LOADING]),
    (EndTxn, &[LOADING]),
];
/// What ends the transaction or the producer, or the partition's assignment: the commit says so, and who begins anew goes on.
const ENDING: [(RDKafkaApiKey, RDKafkaRespErr); 9] = [
    (Produce, SEQUENCE),
    (Produce, UNKNOWN),
    (Produce, EPOCH),
    (Produce, TOO_LARGE),
    (Produce, UNAUTHORIZED),
    (AddPartitionsToTxn, FENCED),
    (AddPartitionsToTxn, UNAUTHORIZED),
    (TxnOffsetCommit, GENERATION),
    (TxnOffsetCommit, MEMBER),
];

/// Brokers that have the application's topics.
fn cluster() -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
    let cluster = MockCluster::new(3).unwrap();
    for topic in Cluster::missing(&application(), &BTreeMap::new()).unwrap() {
        let partitions = if topic.ends_with(".dead-letters") { 1 } else { 2 };
        cluster.create_topic(&topic, partitions, 3).unwrap();
    }
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_brokers_that_pass_are_not_noticed() {
    let (cluster, dir) = (cluster(), tempfile::tempdir().unwrap());
    // Asked for when the function begins.
    cluster.request_errors(InitProducerId, &[LOADING, COORDINATOR]);
    let log = Log::on_kafka(dir.path(), &cluster.bootstrap_servers()).await;
    let mut at = 0;
    for (request, errors) in PASSING {
        cluster.request_errors(request, errors);
        let committed = log.commit(publishing(commit(0, at, at + 1), "sums", 1, varied())).await;
        assert!(committed.is_ok(), "{request:?} {errors:?}: {committed:?}");
        at += 1;
        cluster.clear_request_errors(request);
    }
    // Each came once, in spite of all that was sent again.
    assert_eq!(log.read("sums", 1).await.len() as i64, 7 * at);
    log.close().await;
    let again = Log::on_kafka(dir.path(), &cluster.bootstrap_servers()).await;
    assert_eq!(again.position(0).await, at);
    again.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_brokers_that_end_a_transaction_are_told_and_got_over() {
    let (cluster, dir) = (cluster(), tempfile::tempdir().unwrap());
    let mut at = 0;
    let mut log = Log::on_kafka(dir.path(), &cluster.bootstrap_servers()).await;
    for (request, error) in ENDING {
        cluster.request_errors(request, &[error]);
        let refused = log.commit(publishing(commit(0, at, at + 1), "sums", 1, varied())).await;
        assert!(refused.is_err(), "{request:?} {error:?} was taken for a commit");
        cluster.clear_request_errors(request);
        log.close().await;
        log = Log::on_kafka(dir.path(), &cluster.bootstrap_servers()).await;
        let stands = log.position(0).await;
        // The mock cluster keeps positions that it was sent beside the records, though their transaction is given up.
        let is_kept = matches!(request, Produce) && stands == at + 1;
        assert!(stands == at || is_kept, "{request:?} {error:?}: {stands} after {at}");
        log.commit(publishing(commit(0, stands, stands + 1), "sums", 1, varied())).await.unwrap();
        at = stands + 1;
    }
    log.close().await;
}
