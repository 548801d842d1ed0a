import { ponder } from "ponder:registry";
import { balance, transfer } from "ponder:schema";
import { zeroAddress } from "viem";

ponder.on("Points:Transfer", async ({ event, context }) => {
  const { from, to, value } = event.args;
  const programme = event.log.address;
  await context.db.insert(transfer).values({
    block: event.block.number,
    logIndex: event.log.logIndex,
    transaction: event.transaction.hash,
    programme,
    from,
    to,
    amount: value,
  });
  for (const [holder, amount] of [[from, -value], [to, value]] as const) {
    if (holder !== zeroAddress) {
      await context.db
        .insert(balance)
        .values({ holder, programme, amount })
        .onConflictDoUpdate((row) => ({ amount: row.amount + amount }));
    }
  }
});
