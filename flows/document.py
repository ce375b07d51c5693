"""Documents: JSON values at the borders of the program, as commands print them and files keep them."""

from typing import Any

Document = dict[str, Any]
"""One JSON object. Inside the program results are frozen values; this is what `to_dict` gives."""
