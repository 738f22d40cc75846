"""The `.i2i` artifact: a folder, or the same files in one uncompressed zip, that carries a translator whole.

Layout: ``bundle.json`` (the manifest), ``bundle.sha256`` (its checksum, in ``sha256sum`` form),
``graphs/<graph>.<variant>.onnx``, ``golden.npz`` and any further files that the manifest lists.
"""
