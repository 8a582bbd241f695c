"""Names of the files of a trained student; imports nothing, so that anyone may look for them."""

ADAPTER = "adapter"
TEXT_ADAPTER = "text_adapter"
AUDIO_EMBEDDING = "audio_embedding.safetensors"
HANDOVER = "handover.safetensors"
TRAIN_CONFIG = "train_config.json"
ENCODER = "encoder.json"
ENCODER_CODEC = "encoder_codec.safetensors"
METRICS = "metrics.jsonl"
SIMILARITY = "similarity.json"
FOLDERS = (ADAPTER, TEXT_ADAPTER)
FILES = (METRICS, SIMILARITY, TRAIN_CONFIG, AUDIO_EMBEDDING, HANDOVER, ENCODER, ENCODER_CODEC)
