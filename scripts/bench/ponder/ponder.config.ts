// The tokens' transfers, from the block that has the first of them on; addresses and block come from the benchmark.
import { createConfig } from "ponder";
import { parseAbi } from "viem";

export default createConfig({
  chains: { bench: { id: 31337, rpc: process.env.BENCH_RPC_URL! } },
  contracts: {
    Points: {
      chain: "bench",
      abi: parseAbi(["event Transfer(address indexed from, address indexed to, uint256 value)"]),
      address: process.env.BENCH_TOKENS!.split(",") as `0x${string}`[],
      startBlock: Number(process.env.BENCH_FIRST_BLOCK),
    },
  },
});
