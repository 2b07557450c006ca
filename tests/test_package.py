import subprocess
import sys


def test_import_starts_no_tensorflow():
    script = "import sys, fsad; assert fsad.__version__; sys.exit('tensorflow' in sys.modules or 'cv2' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
