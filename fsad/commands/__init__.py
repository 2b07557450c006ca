"""What the verbs of the ``fsad`` command do, one file each: ``add_arguments(parser)`` and ``run(options)``.

A verb looks at paths and output folders first and imports TensorFlow after that.
"""
