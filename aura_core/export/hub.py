"""An exported folder on the Hugging Face hub."""

from pathlib import Path

from aura_core.errors import AuraError


def push_to_hub(folder: Path, repo: str) -> str:
    """Upload a model folder as one commit; a repository that is not there is made, private.

    The token is that of `hf auth login`, or $HF_TOKEN; it needs the right to write.

    Args:
        folder: what `aura_core.export.folder.export_student` has written.
        repo: `ORG/NAME`.

    Returns:
        The address of the commit.

    Raises:
        AuraError: if the hub refuses it or is out of reach; the folder stays.
    """
    from huggingface_hub import HfApi

    api = HfApi(library_name="aura")
    try:
        api.create_repo(repo, private=True, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo, folder_path=folder, commit_message="Upload a model exported by aura"
        )
    except Exception as error:  # the hub client's HTTP library is its own affair
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise AuraError(
            f"{folder} is exported, but was not uploaded to {repo} ({reason}); log in with "
            f"`hf auth login`, then: hf upload {repo} {folder}"
        ) from error
    return commit.commit_url
