"""What every act costs, ours and the peers', measured on one chain by one rule. `python -m scripts.gas`."""
