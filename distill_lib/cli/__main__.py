"""``python -m distill_lib.cli``."""

from distill_lib.cli import main

raise SystemExit(main())
