"""The shortest proof that KFP's client works with the server; the whole of it is in the files beside, marked slow."""

import kfp


def test_a_pipeline_is_uploaded_and_a_run_of_it_succeeds(server, packages):
    client = kfp.Client(host=server.url)
    made = client.upload_pipeline(packages("greeting.yaml"), "Quick look")
    version = client.list_pipeline_versions(made.pipeline_id).pipeline_versions[0]
    experiment = client.create_experiment("Quick look")
    ids = {"pipeline_id": made.pipeline_id, "version_id": version.pipeline_version_id}
    run = client.run_pipeline(experiment.experiment_id, "once", **ids)
    assert client.wait_for_run_completion(run.run_id, 60, sleep_duration=1).state == "SUCCEEDED"
